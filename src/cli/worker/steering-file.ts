/**
 * Where a command finds what it is told while it works: a file of its own, one JSON document a line, `{id, at, text}`, appended to
 * and never rewritten. A file works for every program that can read one, and keeps what came while nobody looked; stdin is used up by
 * the task, and a signal says nothing.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseObject } from '../../client/errors.ts';
import type { SteeringMessage } from '../../client/worker/steering-message.ts';

/** Of all runs of one worker; only its user may look into it. */
export class SteeringDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'lanekeeper-work-'));

  open(runId: string): SteeringFile {
    return new SteeringFile(join(this.path, `${runId}.jsonl`));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class SteeringFile {
  readonly path: string;
  readonly #written = new Set<string>();

  /** A file that is there already was written for an earlier keeper of the same run; nothing in it is repeated. */
  constructor(path: string) {
    this.path = path;
    try {
      writeFileSync(this.path, '', { mode: 0o600, flag: 'a' });
      for (const line of readFileSync(this.path, 'utf8').split('\n')) {
        const id = parseObject(line)?.['id'];
        if (typeof id === 'string') this.#written.add(id);
      }
    } catch {
      // No reason not to work; a message will say that it cannot be written.
    }
  }

  /** Each message once. Throws what the file system says. */
  append(messages: readonly SteeringMessage[]): void {
    for (const { id, at, text } of messages) {
      if (this.#written.has(id)) continue;
      appendFileSync(this.path, `${JSON.stringify({ id, at, text })}\n`);
      this.#written.add(id);
    }
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
