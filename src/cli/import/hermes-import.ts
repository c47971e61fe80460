/**
 * Takes a Hermes board over, batch by batch, parents before children. A batch that has been committed is left alone by the next run, so an
 * import that was cut off is simply started again. Writes nothing but through the server's API.
 */
import type { Client } from '../../client/client.ts';
import type { ReplyOf } from '../../client/operation-types.ts';
import type { ImportResult } from '../../contract/import.ts';
import type { LaneKind } from '../../contract/lanes.ts';
import type { TaskStatus } from '../../contract/statuses.ts';
import { textOf, timeOf, wordOf } from './cell.ts';
import { type FindingCount, Findings } from './findings.ts';
import { type Batched, batchesOf } from './hermes-batches.ts';
import { HermesDatabase, type Outline } from './hermes-database.ts';
import { HermesLanes, kindOf, lanesOfProfiles } from './hermes-lanes.ts';
import { orderByParents } from './hermes-links.ts';
import { type BoardFacts, findBoardFacts } from './hermes-place.ts';
import { HermesSubscriptions } from './hermes-subscriptions.ts';

/** What the wire takes in one request. */
const BATCH_LANES_MAX = 1000;
/** As an external_ref has to look (contract/identifiers.ts). */
const USABLE_ID = /^(?!task_)(?!\.{1,2}$)[^\s/?#%\\\0]{1,255}$/;

const FINISHED: ReadonlySet<string> = new Set<TaskStatus>(['done', 'cancelled', 'archived']);

export interface HermesImport {
  readonly path: string;
  readonly client: Client;
  readonly isDryRun: boolean;
  /** Assignees whose lanes are of kind spawn; all others are persistent. */
  readonly profiles: ReadonlySet<string>;
  readonly onProgress: (done: number, total: number) => void;
}

export interface ImportReport {
  readonly board: string;
  readonly dry_run: boolean;
  /** What the board here is called from now on; null: it keeps what it has. */
  readonly named: Pick<BoardFacts, 'title' | 'description'> | null;
  readonly tasks: { found: number; created: number; present: number; left_out: number };
  /** Of those that are created. */
  readonly statuses: Partial<Record<TaskStatus, number>>;
  readonly lanes: { readonly created: readonly { name: string; kind: LaneKind }[]; readonly present: number };
  readonly links: { found: number; created: number };
  readonly runs: number;
  readonly comments: number;
  /** To tasks that are not finished. */
  readonly subscriptions: { readonly created: number; readonly present: number };
  /** Of the whole file, whatever of it is new. */
  readonly findings: readonly FindingCount[];
}

/** A task before its turn: what decides about order, key and lane. */
interface Member {
  readonly id: string;
  readonly rowid: number;
  readonly status: string;
  readonly assignee: string | null;
  readonly key: string | null;
  readonly createdAt: string;
  readonly isSatisfied: boolean;
}

export async function importHermes(options: HermesImport): Promise<ImportReport> {
  const database = await HermesDatabase.open(options.path);
  try {
    return await new Import(options, database).run();
  } finally {
    database.close();
  }
}

class Import {
  readonly #options: HermesImport;
  readonly #database: HermesDatabase;
  readonly #findings = new Findings();
  readonly #lanes = new HermesLanes(this.#findings);
  readonly #subscriptions: HermesSubscriptions;
  /** Of a dry run: what the batches so far would have made, and whether it lets those that wait for it go on. */
  readonly #assumed = new Map<string, boolean>();
  readonly #counts = { created: 0, present: 0, links: 0, runs: 0, comments: 0 };
  readonly #statuses: Partial<Record<TaskStatus, number>> = {};

  constructor(options: HermesImport, database: HermesDatabase) {
    this.#options = options;
    this.#database = database;
    this.#subscriptions = new HermesSubscriptions(options.client, options.isDryRun, this.#findings);
  }

  async run(): Promise<ImportReport> {
    const { client, isDryRun, onProgress } = this.#options;
    const outlines = this.#database.outlines();
    const members = this.#members(outlines);
    const links = this.#database.links();
    const ordered = orderByParents(members, links, this.#findings);
    const lanes = await this.#registerLanes(members);
    const named = await this.#nameBoard();
    const batches = batchesOf(this.#database, {
      ...ordered,
      holders: keyHolders(members, this.#findings),
      translation: {
        lanes: this.#lanes,
        findings: this.#findings,
        now: new Date().toISOString(),
      },
    });
    let done = 0;
    let next = await batches.next();
    while (!next.done) {
      const batch = next.value;
      // The next one is made while the server writes this one.
      const [reply, following] = await Promise.all([this.#send(batch), batches.next()]);
      this.#count(batch, reply);
      await this.#subscribe(batch, reply);
      done += batch.length;
      onProgress(done, members.length);
      next = following;
    }
    this.#countWhatIsLeft();
    return {
      board: client.board,
      dry_run: isDryRun,
      named,
      tasks: {
        found: outlines.length,
        created: this.#counts.created,
        present: this.#counts.present,
        left_out: outlines.length - members.length,
      },
      statuses: this.#statuses,
      lanes,
      links: { found: links.length, created: this.#counts.links },
      runs: this.#counts.runs,
      comments: this.#counts.comments,
      subscriptions: this.#subscriptions.counts,
      findings: this.#findings.list(),
    };
  }

  /** By age, and within a second as they were written. */
  #members(outlines: readonly Outline[]): Member[] {
    const members: Member[] = [];
    const ids = new Set<string>();
    for (const { rowid, row } of outlines) {
      const id = textOf(row['id']);
      if (id === null || !USABLE_ID.test(id) || ids.has(id)) {
        this.#findings.add('unusable_id', id ?? `row ${rowid}`);
        continue;
      }
      ids.add(id);
      const status = wordOf(row['status'])?.toLowerCase() ?? '';
      members.push({
        id,
        rowid,
        status,
        assignee: wordOf(row['assignee']),
        key: textOf(row['idempotency_key']) || null,
        // What nobody knows the age of comes last.
        createdAt: timeOf(row['created_at']) ?? timeOf(row['started_at']) ?? '9999',
        isSatisfied: status === 'done' || status === 'archived',
      });
    }
    return members.sort(
      (left, right) => left.createdAt.localeCompare(right.createdAt) || left.rowid - right.rowid,
    );
  }

  /** A board that people have not named yet is called what it was called there. */
  async #nameBoard(): Promise<ImportReport['named']> {
    const { client, isDryRun, path } = this.#options;
    const { name, title, description } = await findBoardFacts(path);
    if (name !== null && name !== client.board) {
      this.#findings.add('other_board', `${name} → ${client.board}`);
      return null;
    }
    if (title === null && description === null) return null;
    const { board } = await client.boards.get(client.board);
    if (board.title !== null || board.description !== null) return null;
    if (!isDryRun) await client.boards.patch(client.board, { title, description });
    return { title, description };
  }

  async #registerLanes(members: readonly Member[]): Promise<ImportReport['lanes']> {
    const { client, isDryRun, profiles } = this.#options;
    const named = members.map(({ assignee }) => this.#lanes.laneOf(assignee));
    const names = [...new Set(named)].filter((name) => name !== null).sort();
    const spawned = lanesOfProfiles(profiles);
    const lanes = names.map((name) => ({ name, kind: kindOf(name, spawned) }));
    const created = new Set<string>();
    for (let at = 0; at < lanes.length || at === 0; at += BATCH_LANES_MAX) {
      const body = { dry_run: isDryRun, lanes: lanes.slice(at, at + BATCH_LANES_MAX), tasks: [] };
      for (const name of (await client.boards.importTasks(client.board, body)).lanes) created.add(name);
    }
    return { created: lanes.filter(({ name }) => created.has(name)), present: lanes.length - created.size };
  }

  async #send(batch: readonly Batched<Member>[]): Promise<ReplyOf<'importTasks'>> {
    const { client, isDryRun } = this.#options;
    const tasks = batch.map(({ task }) => task);
    if (!isDryRun) return client.boards.importTasks(client.board, { tasks });
    const parents = new Set(tasks.flatMap((task) => task.parents));
    const assumed = [...parents].flatMap((external_ref) => {
      const satisfied = this.#assumed.get(external_ref);
      return satisfied === undefined ? [] : [{ external_ref, satisfied }];
    });
    return client.boards.importTasks(client.board, { dry_run: true, tasks, assumed });
  }

  async #subscribe(
    batch: readonly Batched<Member>[],
    { tasks: results }: ReplyOf<'importTasks'>,
  ): Promise<void> {
    const rows = this.#database.related(
      'kanban_notify_subs',
      batch.map(({ member }) => member.id),
    );
    await this.#subscriptions.take(
      batch.map(({ member: { id } }, index) => ({
        taskId: id,
        rows: rows.get(id) ?? [],
        isPresent: results[index]?.created === false,
        isFinished: FINISHED.has(results[index]?.status ?? ''),
      })),
    );
  }

  #count(batch: readonly Batched<Member>[], { tasks: results }: ReplyOf<'importTasks'>): void {
    const findings = this.#findings;
    for (const [index, { member, task }] of batch.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error('the server answered for fewer tasks than it was given');
      for (const note of result.notes) findings.add(note, member.id);
      if (!result.created) {
        this.#counts.present += 1;
        continue;
      }
      this.#counts.created += 1;
      this.#counts.links += result.links;
      this.#counts.runs += task.runs.length;
      this.#counts.comments += task.comments.length;
      this.#statuses[result.status] = (this.#statuses[result.status] ?? 0) + 1;
      if (this.#options.isDryRun) this.#assumed.set(member.id, result.satisfied);
      this.#findMoved(member, result);
    }
  }

  /** What waits for nothing may start, and what may not start waits, whatever the row said. */
  #findMoved({ id, status }: Member, result: ImportResult): void {
    if (status === 'todo' && result.status === 'ready') this.#findings.add('todo_without_open_parents', id);
    if ((status === 'ready' || status === 'running') && result.status === 'todo')
      this.#findings.add('ready_with_open_parents', id);
  }

  #countWhatIsLeft(): void {
    const database = this.#database;
    this.#findings.add('run_orphaned', null, database.countOrphans('task_runs'));
    this.#findings.add('comment_orphaned', null, database.countOrphans('task_comments'));
    this.#findings.add('event_orphaned', null, database.countOrphans('task_events'));
    const orphanedAttachments = database.countOrphans('task_attachments');
    this.#findings.add('attachment_orphaned', null, orphanedAttachments);
    this.#findings.add('attachment', null, database.count('task_attachments') - orphanedAttachments);
    this.#findings.add('subscription_orphaned', null, database.countOrphans('kanban_notify_subs'));
  }
}

/** Hermes's own rule where several tasks have one key: the newest that is not archived holds it. Archived ones may all name it. */
function keyHolders(members: readonly Member[], findings: Findings): Set<string> {
  const holders = new Set<string>();
  const newest = new Map<string, string>();
  for (const { id, key, status } of members) {
    if (key === null) continue;
    if (status === 'archived') holders.add(id);
    else newest.set(key, id);
  }
  for (const { id, key, status } of members) {
    if (key === null || status === 'archived') continue;
    if (newest.get(key) === id) holders.add(id);
    else findings.add('idempotency_key_duplicate', id);
  }
  return holders;
}
