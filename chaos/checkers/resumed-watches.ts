/** Watches of a log that is pruned: what came after each resumption, and what it says of where the log began by then. */
import type { FinalState, HistoryEntry } from '../history.ts';
import type {
  ExpiredEntry,
  ReceivedEntry,
  ResumeEntry,
  ResumingEntry,
  WatchEndEntry,
} from '../watch-entries.ts';
import { groupBy } from './group-by.ts';
import type { Finding, KnownLog } from './known-log.ts';
import type { EdgeSighting } from './log-edge.ts';

export interface ResumedWatches {
  readonly findings: readonly Finding[];
  readonly sightings: readonly EdgeSighting[];
}

export function followWatches(
  entries: readonly HistoryEntry[],
  log: KnownLog,
  final: FinalState,
): ResumedWatches {
  const watches = [...groupBy(entries.filter(isOfWatch), ({ process }) => process).values()].map((own) => {
    const watch = new ResumedWatch(log, final);
    for (const entry of own) watch.apply(entry);
    return watch;
  });
  return {
    findings: watches.flatMap(({ findings }) => findings),
    sightings: watches.flatMap(({ sightings }) => sightings),
  };
}

function isOfWatch(entry: HistoryEntry): entry is ResumingEntry {
  return ['resume', 'received', 'expired', 'watch_end'].includes(entry.entry);
}

class ResumedWatch {
  readonly findings: Finding[] = [];
  readonly sightings: EdgeSighting[] = [];
  readonly #log: KnownLog;
  readonly #final: FinalState;
  /** It has everything up to here since it last began anew; null: it has not been told where it stands. */
  #position: number | null = null;
  #furthest = 0;
  /** Until the first event comes. */
  #resumption: ResumeEntry | null = null;

  constructor(log: KnownLog, final: FinalState) {
    this.#log = log;
    this.#final = final;
  }

  apply(entry: ResumingEntry): void {
    if (entry.entry === 'resume') this.#resume(entry);
    else if (entry.entry === 'received') this.#receive(entry);
    else if (entry.entry === 'expired') this.#expire(entry);
    else this.#end(entry);
  }

  #resume(entry: ResumeEntry): void {
    this.#resumption = entry;
    const seq = this.#log.seqOf(entry.after) ?? null;
    if (entry.from === 'cursor') {
      if (seq !== null && this.#position !== null && seq !== this.#position)
        this.#find('a cursor is not that of the last event which came with it', entry);
      this.#position ??= seq;
    } else this.#position = seq;
  }

  #receive(entry: ReceivedEntry): void {
    const { seq } = entry.event;
    const position = this.#position;
    if (position !== null && seq <= position) this.#find('an event came again or out of order', entry);
    else if (position !== null && seq > position + 1)
      this.#find('events are missing, and nobody was told so', entry);
    const resumption = this.#resumption;
    if (resumption !== null) {
      // Whatever it resumed from was good, so this one was the next.
      this.sightings.push({ begins: 'by', seq: seq - 1, at: resumption.at, evidence: entry });
      if (resumption.from === 'start')
        this.sightings.push({ begins: 'behind', seq: seq - 1, at: entry.at, evidence: entry });
    }
    this.#resumption = null;
    this.#position = Math.max(seq, position ?? 0);
    this.#furthest = Math.max(seq, this.#furthest);
  }

  #expire(entry: ExpiredEntry): void {
    if (this.#position !== null)
      this.sightings.push({ begins: 'behind', seq: this.#position + 1, at: entry.at, evidence: entry });
    this.#position = null;
  }

  #end(entry: WatchEndEntry): void {
    if (this.#furthest < this.#final.seq) this.#find('a watcher did not get to the end of the log', entry);
  }

  #find(detail: string, entry: ResumingEntry): void {
    this.findings.push({ detail, evidence: { entry, position: this.#position } });
  }
}
