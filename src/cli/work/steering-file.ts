/**
 * Where a command finds what it is told while it works: a file of its own, one JSON document a line, `{id, at, text}`, appended to
 * and never rewritten. A file works for every program that can read one, and keeps what came while nobody looked; stdin is used up by
 * the task, and a signal says nothing.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SteeringMessage {
  readonly id: string;
  readonly text: string;
  readonly at: string;
}

/** Of all runs of one worker; only its user may look into it. */
export class SteeringDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'lanekeeper-work-'));

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class SteeringFile {
  readonly path: string;
  readonly #written = new Set<string>();

  constructor(directory: SteeringDirectory, runId: string) {
    this.path = join(directory.path, `${runId}.jsonl`);
    try {
      writeFileSync(this.path, '', { mode: 0o600 });
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
