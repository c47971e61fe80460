import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { WATCH_UPGRADE } from '../../src/contract/openapi.ts';
import { PROBLEM_CODES, PROBLEMS, ProblemBody, problemType } from '../../src/contract/problems.ts';
import { SHARED_PROBLEMS } from '../../src/contract/route.ts';
import { ROUTES } from '../../src/contract/routes.ts';

const PAGES = new URL('../../docs/errors/', import.meta.url);

describe('the problem table', () => {
  test('has a page for every code and no page without a code', async () => {
    const pages = (await readdir(PAGES)).filter((name) => name !== 'README.md');
    expect(pages.sort()).toEqual(PROBLEM_CODES.map((code) => `${code}.md`).sort());
  });

  test('is listed in full, and truly, in the index', async () => {
    const index = await readFile(new URL('README.md', PAGES), 'utf8');
    const rows = index.split('\n').filter((line) => line.startsWith('| ['));
    const expected = PROBLEM_CODES.map((code) => {
      const { status, title, retryable } = PROBLEMS[code];
      return `| [${code}](${code}.md) | ${status} | ${title} | ${retryable ? 'yes' : 'no'} |`;
    });
    expect(rows.sort()).toEqual(expected.sort());
  });

  test('identifies each code by a URI that ends in it', () => {
    for (const code of PROBLEM_CODES)
      expect(new URL(problemType(code)).pathname.endsWith(`/${code}`)).toBe(true);
  });

  test('has no code that no answer can carry', () => {
    // Answers of the routing itself, before any route is found or its body is read.
    const beforeRoutes = [
      'method_not_allowed',
      'invalid_json',
      'payload_too_large',
      'unsupported_media_type',
    ];
    const declared = new Set<string>([
      ...SHARED_PROBLEMS,
      ...beforeRoutes,
      ...ROUTES.flatMap((route) => route.problems),
      ...WATCH_UPGRADE.problems,
    ]);
    expect(PROBLEM_CODES.filter((code) => !declared.has(code))).toEqual([]);
  });

  test.each(PROBLEM_CODES)(
    'explains %s with its status, what to do, and an example that is a problem',
    async (code) => {
      const { status, title, retryable } = PROBLEMS[code];
      const page = await readFile(new URL(`${code}.md`, PAGES), 'utf8');
      expect(page.startsWith(`# ${code}\n\n**${status}** · ${title}.`)).toBe(true);
      expect(page.includes(' Retryable: ')).toBe(retryable);
      expect(page).toContain('\n## When it happens\n');
      expect(page).toContain('\n## What to do\n');
      const example: unknown = JSON.parse(/```json\n(.*?)\n```/s.exec(page)?.[1] ?? '');
      expect(ProblemBody.parse(example)).toMatchObject({ type: problemType(code), title, status, code });
    },
  );
});

describe('routes', () => {
  test('declare the problems that their headers and parameters bring', () => {
    for (const { operationId, problems, ...route } of ROUTES) {
      const expected = [
        ...(route.isIdempotent ? ['idempotency_in_flight', 'idempotency_mismatch'] : []),
        ...(route.isConditional ? ['version_mismatch'] : []),
        ...(route.path.startsWith('/v1/boards/{board}/') ? ['not_found'] : []),
        ...(route.query && 'page_token' in route.query.shape ? ['invalid_cursor'] : []),
        ...(route.query && 'after' in route.query.shape ? ['invalid_cursor', 'cursor_expired'] : []),
      ];
      expect(problems, operationId).toEqual(expect.arrayContaining(expected));
      expect(new Set(problems).size, operationId).toBe(problems.length);
    }
  });

  test('take an Idempotency-Key wherever a POST creates', () => {
    const creating = ROUTES.filter(
      (route) => route.method === 'post' && (201 in route.responses || 202 in route.responses),
    );
    expect(creating.length).toBeGreaterThan(3);
    // A code is all that its answer holds, and is remembered nowhere: one that got lost expires, and another is asked for.
    expect(creating.filter((route) => route.isIdempotent !== true).map((route) => route.operationId)).toEqual(
      ['createSignInCode'],
    );
  });
});
