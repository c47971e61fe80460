/** What a worker tells whoever runs it. Never shows a token. */
export interface WorkerLog {
  /** Routine. */
  note(text: string): void;
  /** What somebody should know. */
  warn(text: string): void;
}
