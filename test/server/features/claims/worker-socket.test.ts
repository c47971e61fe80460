import { expect, test } from 'vitest';
import type { ServerFrame } from '../../../../src/contract/frames.ts';
import type { Offer } from '../../../../src/server/features/claims/push/push-lane.ts';
import { WorkerSocket } from '../../../../src/server/features/claims/push/worker-socket.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };

/** A socket whose claims are presented when the test says how. */
function setup() {
  const state = {
    sent: [] as string[],
    returned: [] as string[],
    retried: 0,
    updates: 0,
    errors: 0,
    left: [] as string[],
    failsAt: Number.POSITIVE_INFINITY,
  };
  const presenting: { readonly resolve: (claims: unknown[]) => void; readonly reject: (e: Error) => void }[] =
    [];
  const offers = new Map<string, Offer>();
  const see = (offer: Offer): void => void offers.set(offer.lane, offer);
  const parts = {
    socketListeners: [
      {
        onHello: async () => undefined,
        onClose: (_port: unknown, cause: string) => void state.left.push(`${cause} after ${state.returned}`),
      },
    ],
    desk: {
      admit: async () => undefined,
      update: (offer: Offer) => {
        state.updates += 1;
        see(offer);
      },
      retryLater: () => {
        state.retried += 1;
      },
      remove: () => undefined,
      giveBack: ({ hold }: { hold: { runId: string } }) => void state.returned.push(hold.runId),
      track: () => undefined,
      findRun: async () => null,
      onClosed: () => undefined,
    },
    handingOver: {
      presentUnsigned: () =>
        new Promise<unknown[]>((resolve, reject) => void presenting.push({ resolve, reject })),
    },
    running: {},
    outputs: {},
    inbox: {},
    lostClaims: { hold: () => undefined, letGo: () => undefined },
    tokens: {},
    claimAckMs: 5000,
    onError: () => {
      state.errors += 1;
    },
  };
  const port = {
    board: BOARD,
    caller: { kind: 'key', id: 'key' },
    send: (frame: ServerFrame) => {
      if (frame.type !== 'claim') return;
      if (state.sent.length === state.failsAt) throw new Error('this one cannot be sent');
      state.sent.push(frame.claim.run_id);
    },
    hasRoom: () => true,
    end: () => undefined,
  };
  const socket = new WorkerSocket(port as never, parts as never);
  const offerOf = async (lane: string, credits: number): Promise<Offer> => {
    await socket.greet({ lane, worker: 'w', version: null, hasTokens: false, isCrashOnDisconnect: false });
    await socket.setCredits(lane, credits);
    const offer = offers.get(lane);
    if (offer === undefined) throw new Error('the desk was told of the offer');
    return offer;
  };
  return { socket, state, presenting, offerOf };
}

const at = (seconds: number): string => new Date(seconds * 1000).toISOString();
const rowsOf = (...names: string[]) =>
  names.map((name) => ({
    id: `t${name}`,
    run_id: name,
    attempt: 1,
    claim_attempt: 1,
    claimed_at: at(0),
    lease_expires_at: at(60),
  })) as never;
const claimsOf = (...names: string[]) =>
  names.map((name) => ({ run_id: name, task: { id: `t${name}` }, lane: 'l', worker: 'w', attempt: 1 }));

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

/** As the lane does: the credits are used up when the rows are taken. */
function take(offer: Offer, ...names: string[]): void {
  offer.credits -= names.length;
  offer.take(rowsOf(...names));
}

test('credits come back when their claims could not be handed over, and are not used again at once', async () => {
  const { state, presenting, offerOf } = setup();
  const offer = await offerOf('l', 3);
  take(offer, 'a', 'b');
  presenting[0]?.reject(new Error('the handoff could not be read'));
  await settled();
  expect([state.returned, offer.credits, state.retried, state.errors]).toEqual([['a', 'b'], 3, 1, 1]);
});

test('credits do not come back when a newer credit frame has said what counts', async () => {
  const { socket, state, presenting, offerOf } = setup();
  const offer = await offerOf('l', 3);
  take(offer, 'a', 'b');
  const newer = socket.setCredits('l', 2);
  await settled();
  presenting[0]?.reject(new Error('the handoff could not be read'));
  expect(await newer).toBe(2);
  expect([state.returned, offer.credits, state.retried]).toEqual([['a', 'b'], 2, 0]);
});

test('a claim that cannot be sent costs those before it nothing: only the rest goes back', async () => {
  const { socket, state, presenting, offerOf } = setup();
  const offer = await offerOf('l', 3);
  state.failsAt = 1;
  take(offer, 'a', 'b', 'c');
  presenting[0]?.resolve(claimsOf('a', 'b', 'c'));
  await settled();
  expect([state.sent, state.returned, offer.credits]).toEqual([['a'], ['b', 'c'], 2]);
  socket.onClose('lost');
  expect(state.returned).toEqual(['b', 'c', 'a']);
});

test('what is asked for on any of its lanes, or being turned into frames, counts against what it can take', async () => {
  const { state, presenting, offerOf } = setup();
  const [first, second] = [await offerOf('l', 500), await offerOf('other', 500)];
  first.asked = 100;
  expect(second.canTake()).toBe(true);
  take(second, ...Array.from({ length: 100 }, (_, index) => `${index}`));
  expect(second.canTake()).toBe(false);
  const { updates } = state;
  presenting[0]?.resolve(claimsOf(...Array.from({ length: 100 }, (_, index) => `${index}`)));
  await settled();
  // Told that there is room again.
  expect(state.updates).toBeGreaterThan(updates);
  expect(second.canTake()).toBe(true);
});

test('its listeners hear of the close when all that it never took on is on its way back, and once', async () => {
  const { socket, state, presenting, offerOf } = setup();
  const [first, second] = [await offerOf('l', 3), await offerOf('other', 3)];
  take(first, 'a');
  second.asked = 1;
  socket.onClose('lost');
  expect(state.left).toEqual([]);
  presenting[0]?.resolve(claimsOf('a'));
  await settled();
  expect([state.returned, state.left]).toEqual([['a'], []]);
  // What was being claimed at the close comes last, and goes back as well.
  second.asked = 0;
  second.giveBack(rowsOf('b'));
  second.onAnswered();
  second.onAnswered();
  expect(state.left).toEqual(['lost after a,b']);
});

test('its listeners hear of the close also when a hello was replaced while tasks were being claimed on it', async () => {
  const { socket, state, offerOf } = setup();
  const earlier = await offerOf('l', 3);
  earlier.asked = 1;
  await offerOf('l', 3);
  socket.onClose('superseded');
  expect(state.left).toEqual([]);
  earlier.asked = 0;
  earlier.onAnswered();
  expect(state.left).toEqual(['superseded after ']);
});
