/** Tasks of a board: `client.tasks`. `task` is an id or an external_ref. */
import type { BodyOf, OperationId, QueryOf, ReplyOf } from '../operation-types.ts';
import { type Listing, listByCursor, listByToken } from './listing.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

/**
 * A server that is busy asks for a second. One that asks for longer has 100 messages for this task that nobody has acknowledged, and
 * is not asked again: that takes a worker, not time.
 */
const STEER_ASKED_SECONDS_MAX = 5;

type Options = BoardCallOptions | undefined;
type TaskPage = ReplyOf<'listTasks'>;
type CommentPage = ReplyOf<'listComments'>;
type RunPage = ReplyOf<'listTaskRuns'>;
type LogPage = ReplyOf<'listTaskEvents'>;
type Reply<Id extends OperationId> = Promise<ReplyOf<Id>>;

export class Tasks extends Resource {
  /**
   * Repeated with an Idempotency-Key when an answer is lost, so that it is created once. With an `idempotency_key` that a task of the board has,
   * that task is the answer. `already_exists`: another has its external_ref.
   */
  create(body: BodyOf<'createTask'>, options?: Options): Reply<'createTask'> {
    return this.transport.request('createTask', { params: { board: this.boardOf(options) }, body }, options);
  }

  /** Up to 1,000 tasks, all or none; `errors` of the problem point at the bad ones. Repeated like `create`. */
  createBatch(tasks: BodyOf<'createTasks'>['tasks'], options?: Options): Reply<'createTasks'> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('createTasks', { params, body: { tasks } }, options);
  }

  /**
   * Newest first unless `order` says otherwise, archived ones only when asked for. Filters may be arrays: `{status: ['ready', 'running']}`.
   * `cursor` is the end of the log as the page was read: watch from it to stay current.
   */
  list(query: QueryOf<'listTasks'> = {}, options?: Options): Listing<TaskPage, TaskPage['tasks'][number]> {
    const params = { board: this.boardOf(options) };
    return listByToken(
      query,
      (paged) => this.transport.request('listTasks', { params, query: paged }, options),
      (page) => page.tasks,
    );
  }

  /** With waitSeconds: answers once the task has finished, or as it is when the wait is over. */
  get(task: string, options?: Options): Reply<'getTask'> {
    return this.transport.request('getTask', { params: this.#params(task, options) }, options);
  }

  /** null clears a field; the lane is changed by `assign`. With `ifVersion`, `version_mismatch` where it has changed since. */
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

  /** Lets one in triage or scheduled go on now; it still waits for its parents. `illegal_transition`: it is neither. */
  promote(task: string, options?: Options): Reply<'promoteTask'> {
    return this.transport.request('promoteTask', { params: this.#params(task, options) }, options);
  }

  /** Makes a blocked one ready again; `answer` is kept as a comment, which the next attempt reads. */
  unblock(task: string, body: BodyOf<'unblockTask'> = {}, options?: Options): Reply<'unblockTask'> {
    return this.transport.request('unblockTask', { params: this.#params(task, options), body }, options);
  }

  /**
   * At once when nobody holds it; else its holder is asked, and its claim is taken when the deadline passes (`deadline_seconds`). Not repeated by
   * itself when its answer is lost: it may have been reopened meanwhile.
   */
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

  /** Gives it to another lane and forgets its failures. `illegal_transition`: somebody holds it; reclaim it first. */
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

  /** Hides it from lists and frees its idempotency_key. `illegal_transition`: somebody holds it. */
  archive(task: string, options?: Options): Reply<'archiveTask'> {
    return this.transport.request('archiveTask', { params: this.#params(task, options) }, options);
  }

  /** Makes a finished or archived one ready again, with no failures. */
  reopen(task: string, options?: Options): Reply<'reopenTask'> {
    return this.transport.request('reopenTask', { params: this.#params(task, options) }, options);
  }

  /** Why it is not running: ordered, empty while it is. For lists: `list({include: 'why'})`. */
  why(task: string, options?: Options): Reply<'getWhy'> {
    return this.transport.request('getWhy', { params: this.#params(task, options) }, options);
  }

  /** For people and for the next attempt, which reads it in its handoff. At most 64 KiB. */
  comment(task: string, body: string, options?: Options): Reply<'addComment'> {
    return this.transport.request(
      'addComment',
      { params: this.#params(task, options), body: { body } },
      options,
    );
  }

  /** Oldest first. */
  comments(
    task: string,
    query: QueryOf<'listComments'> = {},
    options?: Options,
  ): Listing<CommentPage, CommentPage['comments'][number]> {
    const params = this.#params(task, options);
    return listByToken(
      query,
      (paged) => this.transport.request('listComments', { params, query: paged }, options),
      (page) => page.comments,
    );
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

  /** The record of each attempt, the first one first. */
  runs(
    task: string,
    query: QueryOf<'listTaskRuns'> = {},
    options?: Options,
  ): Listing<RunPage, RunPage['runs'][number]> {
    const params = this.#params(task, options);
    return listByToken(
      query,
      (paged) => this.transport.request('listTaskRuns', { params, query: paged }, options),
      (page) => page.runs,
    );
  }

  /** All that the log says of it, oldest first; `after` is a cursor. To follow it: `client.watch({tasks: [id]})`. */
  events(
    task: string,
    query: QueryOf<'listTaskEvents'> = {},
    options?: Options,
  ): Listing<LogPage, LogPage['events'][number]> {
    const params = this.#params(task, options);
    return listByCursor(
      query,
      (paged) => this.transport.request('listTaskEvents', { params, query: paged }, options),
      { isSparse: false, continuesWith: 'after' },
    );
  }

  #params(task: string, options: Options): { board: string; task: string } {
    return { board: this.boardOf(options), task };
  }
}
