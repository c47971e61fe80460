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

  /** Erases all that was ever written about it. Takes an admin key; not while somebody works on it. */
  async delete(task: string, options?: Options): Promise<void> {
    await this.transport.request('deleteTask', { params: this.#params(task, options) }, options);
  }

  /** One action on many tasks, in the background: the answer is the operation as it begins. See `operation`. */
  bulk(body: BodyOf<'bulkTasks'>, options?: Options): Reply<'bulkTasks'> {
    return this.transport.request('bulkTasks', { params: { board: this.boardOf(options) }, body }, options);
  }

  /** How far an operation on many tasks has come. With waitSeconds: once it is done, or when the wait is over. */
  operation(operation: string, options?: Options): Reply<'getOperation'> {
    const params = { board: this.boardOf(options), operation };
    return this.transport.request('getOperation', { params }, options);
  }

  /** Stops it: what it has done stays done, the rest is left as it is, but for one with a long history that was being deleted. */
  cancelOperation(operation: string, options?: Options): Reply<'cancelOperation'> {
    const params = { board: this.boardOf(options), operation };
    return this.transport.request('cancelOperation', { params, body: {} }, options);
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

  /** Takes it back from the worker that holds it; the worker hears of it with its next heartbeat or end. */
  reclaim(task: string, body: BodyOf<'reclaimTask'> = {}, options?: Options): Reply<'reclaimTask'> {
    return this.transport.request('reclaimTask', { params: this.#params(task, options), body }, options);
  }

  assign(task: string, body: BodyOf<'assignTask'>, options?: Options): Reply<'assignTask'> {
    return this.transport.request('assignTask', { params: this.#params(task, options), body }, options);
  }

  /** Lets it wait for a time, RFC 3339; one that has passed makes it ready within a second. */
  schedule(task: string, runAt: string, options?: Options): Reply<'scheduleTask'> {
    const args = { params: this.#params(task, options), body: { run_at: runAt } };
    return this.transport.request('scheduleTask', args, options);
  }

  /** Of work that waits for review: it stands, and the task is done. */
  accept(task: string, options?: Options): Reply<'acceptTask'> {
    return this.transport.request('acceptTask', { params: this.#params(task, options) }, options);
  }

  /** The same: it goes back to the lane that did it, whose next attempt reads the reason. A reviewer's run: `client.runs.requestChanges`. */
  requestChanges(task: string, reason: string, options?: Options): Reply<'requestTaskChanges'> {
    const args = { params: this.#params(task, options), body: { reason } };
    return this.transport.request('requestTaskChanges', args, options);
  }

  /** The task waits until the parent is done. Linked already: nothing changes. `dependency_cycle` names the way round. */
  link(task: string, parent: string, options?: Options): Reply<'linkParent'> {
    const params = { ...this.#params(task, options), parent };
    return this.transport.request('linkParent', { params }, options);
  }

  /** `not_found`: they were not linked. */
  unlink(task: string, parent: string, options?: Options): Reply<'unlinkParent'> {
    const params = { ...this.#params(task, options), parent };
    return this.transport.request('unlinkParent', { params }, options);
  }

  /** All that it waits for and that waits for it, however far. */
  graph(task: string, options?: Options): Reply<'getGraph'> {
    return this.transport.request('getGraph', { params: this.#params(task, options) }, options);
  }

  /** The task and its handoff as the text that a worker reads. Claims nothing. */
  context(task: string, options?: Options): Reply<'getContext'> {
    return this.transport.request('getContext', { params: this.#params(task, options) }, options);
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
