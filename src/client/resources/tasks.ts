/** Tasks of a board: `client.tasks`. `task` is an id or an external_ref. */
import type { BodyOf, OperationId, QueryOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { followPages, Resource } from './resource.ts';

/**
 * A server that is busy asks for a second. One that asks for longer has 100 messages for this task that nobody has acknowledged, and
 * is not asked again: that takes a worker, not time.
 */
const STEER_ASKED_SECONDS_MAX = 5;

type Options = BoardCallOptions | undefined;
type Reply<Id extends OperationId> = Promise<ReplyOf<Id>>;

export class Tasks extends Resource {
  /** Repeated with an Idempotency-Key when an answer is lost, so that it is created once. */
  create(body: BodyOf<'createTask'>, options?: Options): Reply<'createTask'> {
    return this.transport.request('createTask', { params: { board: this.boardOf(options) }, body }, options);
  }

  /** Up to 1,000 tasks, all or none. */
  createBatch(tasks: BodyOf<'createTasks'>['tasks'], options?: Options): Reply<'createTasks'> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('createTasks', { params, body: { tasks } }, options);
  }

  /** One page. Lists may be given as arrays: `{status: ['ready', 'running']}`. */
  list(query: QueryOf<'listTasks'> = {}, options?: Options): Reply<'listTasks'> {
    return this.transport.request('listTasks', { params: { board: this.boardOf(options) }, query }, options);
  }

  pages(query: QueryOf<'listTasks'> = {}, options?: Options): AsyncGenerator<ReplyOf<'listTasks'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  /** With waitSeconds: answers once the task has finished, or as it is when the wait is over. */
  get(task: string, options?: Options): Reply<'getTask'> {
    return this.transport.request('getTask', { params: this.#params(task, options) }, options);
  }

  patch(task: string, body: BodyOf<'patchTask'>, options?: Options): Reply<'patchTask'> {
    return this.transport.request('patchTask', { params: this.#params(task, options), body }, options);
  }

  promote(task: string, options?: Options): Reply<'promoteTask'> {
    return this.transport.request('promoteTask', { params: this.#params(task, options) }, options);
  }

  unblock(task: string, body: BodyOf<'unblockTask'> = {}, options?: Options): Reply<'unblockTask'> {
    return this.transport.request('unblockTask', { params: this.#params(task, options), body }, options);
  }

  cancel(task: string, body: BodyOf<'cancelTask'> = {}, options?: Options): Reply<'cancelTask'> {
    return this.transport.request('cancelTask', { params: this.#params(task, options), body }, options);
  }

  /** By an operator, of a task that nobody holds. A worker ends its run instead: `client.runs.complete`. */
  complete(task: string, body: BodyOf<'completeTask'> = {}, options?: Options): Reply<'completeTask'> {
    return this.transport.request('completeTask', { params: this.#params(task, options), body }, options);
  }

  assign(task: string, body: BodyOf<'assignTask'>, options?: Options): Reply<'assignTask'> {
    return this.transport.request('assignTask', { params: this.#params(task, options), body }, options);
  }

  archive(task: string, options?: Options): Reply<'archiveTask'> {
    return this.transport.request('archiveTask', { params: this.#params(task, options) }, options);
  }

  reopen(task: string, options?: Options): Reply<'reopenTask'> {
    return this.transport.request('reopenTask', { params: this.#params(task, options) }, options);
  }

  /** Why it is not running: ordered, empty while it is. For lists: `list({include: 'why'})`. */
  why(task: string, options?: Options): Reply<'getWhy'> {
    return this.transport.request('getWhy', { params: this.#params(task, options) }, options);
  }

  comment(task: string, body: string, options?: Options): Reply<'addComment'> {
    return this.transport.request(
      'addComment',
      { params: this.#params(task, options), body: { body } },
      options,
    );
  }

  comments(task: string, query: QueryOf<'listComments'> = {}, options?: Options): Reply<'listComments'> {
    return this.transport.request('listComments', { params: this.#params(task, options), query }, options);
  }

  /**
   * Tells the holder something while it works, or the next one. A task that has finished misses it: see `message.state`. One that nobody
   * reads the messages of takes no more after 100 of them: `rate_limited`, at once.
   */
  steer(task: string, message: string, options?: Options): Reply<'steerTask'> {
    const args = { params: this.#params(task, options), body: { message } };
    const retry = { askedSecondsMax: STEER_ASKED_SECONDS_MAX, ...options?.retry };
    return this.transport.request('steerTask', args, { ...options, retry });
  }

  /** Steering messages with their delivery states, oldest first. */
  messages(task: string, options?: Options): Reply<'listMessages'> {
    return this.transport.request('listMessages', { params: this.#params(task, options) }, options);
  }

  /** The last lines that workers of the task printed. Live: `client.watch({output: true, onOutput})`. */
  output(task: string, options?: Options): Reply<'listOutput'> {
    return this.transport.request('listOutput', { params: this.#params(task, options) }, options);
  }

  runs(task: string, query: QueryOf<'listTaskRuns'> = {}, options?: Options): Reply<'listTaskRuns'> {
    return this.transport.request('listTaskRuns', { params: this.#params(task, options), query }, options);
  }

  events(task: string, query: QueryOf<'listTaskEvents'> = {}, options?: Options): Reply<'listTaskEvents'> {
    return this.transport.request('listTaskEvents', { params: this.#params(task, options), query }, options);
  }

  #params(task: string, options: Options): { board: string; task: string } {
    return { board: this.boardOf(options), task };
  }
}
