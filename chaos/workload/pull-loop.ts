/**
 * Asks for work, again and again: with a long poll, or on a lane that is only watched, when the socket hints at some. Sometimes hangs up
 * while the claim is under way, so that nobody hears what was claimed; sometimes asks with a key and asks again with the same one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type CallAnswer, call, endOf } from './call.ts';
import { type HintSocket, openHints } from './hint-socket.ts';
import { type HeldClaim, readClaims, recordedClaim } from './holder.ts';
import { after, pause } from './pause.ts';
import type { LoopParts } from './worker-context.ts';

/** Long enough that idle workers mostly wait; the end of a wait is a window too. */
const WAIT_SECONDS = [2, 8] as const;
const CLAIMS_MAX = 3;
const HANG_UP_SHARE = 0.06;
/** Of claims that are answered at once: within the time that the claim takes. */
const HANG_UP_MS = [1, 25] as const;
const KEYED_SHARE = 0.25;
const KEYED_ATTEMPTS_MAX = 4;
/**
 * After a refusal or no answer. Doubled for each in a row: dozens of loops that ask again at once would take the processor that a server
 * needs to come back.
 */
const RETRY_MS = [100, 500] as const;
const RETRY_DOUBLINGS_MAX = 3;
/** A hint may be lost with its socket. */
const HINT_WAIT_MS = 1500;

/** Until all is to be quiet, or longer where it is said so. */
export async function pullLoop(
  parts: LoopParts & { readonly until?: AbortSignal },
  work: (claim: HeldClaim) => Promise<void> = (claim) => parts.context.work(parts, claim),
): Promise<void> {
  const { context, lane, random, until = context.quiet } = parts;
  const hints = lane.claimMode === 'watch' ? openHints(parts) : null;
  let asked = 0;
  let failures = 0;
  while (!until.aborted) {
    if (hints !== null) await awaitHint(hints, until);
    asked += 1;
    const answer = await claim(parts, asked);
    const claims = answer.ending === 'ok' ? readClaims(answer.body) : [];
    await Promise.all(claims.map(work));
    failures = answer.ending === 'ok' ? 0 : Math.min(failures + 1, RETRY_DOUBLINGS_MAX);
    if (failures > 0) await pause(random.between(...RETRY_MS) * 2 ** failures, until);
  }
  hints?.close();
}

/** With a key: until there is an answer, and the same one each time. */
async function claim(parts: LoopParts, asked: number): Promise<CallAnswer> {
  const { random, worker, context } = parts;
  const body = { worker, max: random.chance(0.2) ? random.whole(2, CLAIMS_MAX) : 1 };
  if (!random.chance(KEYED_SHARE)) return ask(parts, body, {});
  const headers = { 'Idempotency-Key': `${worker}-${asked}` };
  let answer = await ask(parts, body, headers);
  for (let attempt = 2; attempt <= KEYED_ATTEMPTS_MAX && answer.ending === 'unknown'; attempt += 1) {
    await pause(random.between(...RETRY_MS), context.quiet);
    answer = await ask(parts, body, headers);
  }
  return answer;
}

async function ask(
  { context, lane, worker, random }: LoopParts,
  body: object,
  keyHeaders: Readonly<Record<string, string>>,
): Promise<CallAnswer> {
  const waitSeconds = lane.claimMode === 'watch' ? null : random.whole(...WAIT_SECONDS);
  const end = context.recorder.begin({ kind: 'claim', lane: lane.name, worker, claims: [] });
  const answer = await call({
    url: random.pick(context.config.urls),
    method: 'POST',
    path: context.boardPath(`/lanes/${lane.name}/claims`),
    key: lane.key,
    body,
    headers: { ...keyHeaders, ...(waitSeconds === null ? {} : { Prefer: `wait=${waitSeconds}` }) },
    timeoutMs: (waitSeconds ?? 0) * 1000 + 8000,
    ...(random.chance(HANG_UP_SHARE)
      ? { signal: after(random.between(...HANG_UP_MS)) }
      : // Nobody waits for work that nobody will do.
        { signal: context.leaving }),
  });
  end({
    ...endOf(answer),
    claims: answer.ending === 'ok' ? readClaims(answer.body).map(recordedClaim) : [],
  });
  return answer;
}

async function awaitHint(hints: HintSocket, signal: AbortSignal): Promise<void> {
  await Promise.race([
    hints.next(),
    delay(HINT_WAIT_MS, undefined, { signal, ref: false }).catch(() => undefined),
  ]);
}
