/**
 * Asks whether an idle worker hears of new work: waits on a lane of its own, through one server, and then creates a task for it through
 * another. Whether that was fast enough is for whoever reads the history.
 */
import { Random } from '../random.ts';
import { Recorder } from '../recorder.ts';
import { call, endOf } from './call.ts';
import { readClaims, recordedClaim, writeOverHttp } from './holder.ts';
import { joinRun, type PartyChannel } from './party-channel.ts';
import { pause } from './pause.ts';

const WAIT_SECONDS = 8;
/** Takes what a storm has left on the lane in one go. */
const CLAIMS_MAX = 20;
/** After the wait began: its first look is over, and the next one that it takes by itself, after 5 s, is far. */
const CREATE_AFTER_MS = [150, 500] as const;
const BETWEEN_MS = [300, 700] as const;

class Prober {
  readonly #channel: PartyChannel;
  readonly #recorder: Recorder;
  readonly #random: Random;
  #probes = 0;

  constructor(channel: PartyChannel) {
    this.#channel = channel;
    this.#recorder = new Recorder(channel.config.directory, channel.config.process);
    this.#random = new Random(channel.config.seed).of(channel.config.process);
  }

  async run(): Promise<void> {
    const { quiet, config } = this.#channel;
    // The first request of a process takes longest, and would be overtaken by the second one.
    for (const url of config.urls)
      await call({ url, method: 'GET', path: `/v1/boards/${config.board}`, key: config.orchestratorKey });
    while (!quiet.aborted) {
      this.#probes += 1;
      const urls = this.#random.shuffle(config.urls);
      let isWaiting = true;
      const claimed = this.#claim(urls[0] ?? '').finally(() => {
        isWaiting = false;
      });
      await pause(this.#random.between(...CREATE_AFTER_MS));
      // What earlier probes left behind is answered at once, and then nobody waits.
      if (isWaiting && !quiet.aborted) await this.#create(urls[1] ?? urls[0] ?? '');
      await claimed;
      await pause(this.#random.between(...BETWEEN_MS), quiet);
    }
  }

  async #claim(url: string): Promise<void> {
    const { config, leaving } = this.#channel;
    const { name, key } = config.probeLane;
    const end = this.#recorder.begin({ kind: 'claim', lane: name, worker: config.process, claims: [] });
    const answer = await call({
      url,
      method: 'POST',
      path: `/v1/boards/${config.board}/lanes/${name}/claims`,
      key,
      body: { worker: config.process, max: CLAIMS_MAX },
      headers: { Prefer: `wait=${WAIT_SECONDS}` },
      timeoutMs: (WAIT_SECONDS + 5) * 1000,
      signal: leaving,
    });
    const claims = answer.ending === 'ok' ? readClaims(answer.body) : [];
    end({ ...endOf(answer), claims: claims.map(recordedClaim) });
    await Promise.all(
      claims.map((held) =>
        writeOverHttp(this.#recorder, held, () => this.#random.pick(config.urls))('complete', {}),
      ),
    );
  }

  async #create(url: string): Promise<void> {
    const { config } = this.#channel;
    const key = `${config.process}-${this.#probes}`;
    const lane = config.probeLane.name;
    const end = this.#recorder.begin({ kind: 'create', idempotencyKey: key, lane });
    const answer = await call({
      url,
      method: 'POST',
      path: `/v1/boards/${config.board}/tasks`,
      key: config.orchestratorKey,
      body: { title: key, lane, idempotency_key: key, max_failures: 1000 },
    });
    const { task } = answer.body as { task?: { id: string } };
    end({
      ...endOf(answer),
      ...(answer.ending !== 'ok' || task === undefined
        ? {}
        : { taskId: task.id, isReplay: answer.status === 200 }),
    });
  }
}

const channel = await joinRun();
await new Prober(channel).run();
await new Promise<void>((resolve) => {
  if (channel.leaving.aborted) resolve();
  else channel.leaving.addEventListener('abort', () => resolve());
});
process.exit(0);
