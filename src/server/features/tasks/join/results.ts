/** Makes the results of a delegation fit: what is short stays whole, and what is long gives up the same. */
import type { DelegationResult } from '../../../../contract/delegations.ts';
import { excerptOf } from '../../../kernel/excerpt.ts';

type Part = 'goal' | 'context' | 'output_preview' | 'metadata' | 'result' | 'summary' | 'error';

interface Reduction {
  readonly part: Part;
  /** Of a text, what stays of it; a document goes as a whole. */
  readonly characters: number;
}

/** In this order, until it fits. What says how it ended goes last. */
const REDUCTIONS: readonly Reduction[] = [
  { part: 'context', characters: 1000 },
  { part: 'output_preview', characters: 500 },
  { part: 'metadata', characters: 0 },
  { part: 'result', characters: 0 },
  { part: 'goal', characters: 500 },
  { part: 'context', characters: 0 },
  { part: 'summary', characters: 4000 },
  { part: 'error', characters: 1000 },
  { part: 'output_preview', characters: 0 },
  { part: 'summary', characters: 400 },
  { part: 'goal', characters: 100 },
  { part: 'error', characters: 200 },
];

function bytesOf(result: DelegationResult): number {
  return Buffer.byteLength(JSON.stringify(result));
}

/** All of them within `bytesMax`, but for what a hundred titles and ids need. */
export function fitResults(results: readonly DelegationResult[], bytesMax: number): DelegationResult[] {
  const sizes = results.map(bytesOf);
  const share = shareOf(sizes, bytesMax);
  return results.map((result, index) => ((sizes[index] ?? 0) <= share ? result : reduced(result, share)));
}

/** The size up to which each may stay as it is: what the small ones leave is the large ones'. */
function shareOf(sizes: readonly number[], bytesMax: number): number {
  let left = bytesMax;
  let count = sizes.length;
  for (const size of sizes.toSorted((one, other) => one - other)) {
    if (size * count > left) return Math.floor(left / count);
    left -= size;
    count -= 1;
  }
  return Number.POSITIVE_INFINITY;
}

function reduced(whole: DelegationResult, bytesMax: number): DelegationResult {
  let result = whole;
  for (const reduction of REDUCTIONS) {
    if (bytesOf(result) <= bytesMax) break;
    result = cut(result, reduction);
  }
  return result;
}

function cut(result: DelegationResult, { part, characters }: Reduction): DelegationResult {
  const value = result[part];
  const shorter =
    typeof value === 'string' && part !== 'result' ? excerptOf(value, characters) || null : null;
  const isSame = shorter === value || value === null || (part === 'metadata' && isEmpty(result.metadata));
  if (isSame) return result;
  const truncated = [...new Set([...result.truncated, part])];
  return { ...result, [part]: part === 'metadata' ? {} : shorter, truncated };
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}
