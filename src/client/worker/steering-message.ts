/** What somebody says to the holder of a task while it works. It may come more than once: know it by its id. */
export interface SteeringMessage {
  readonly id: string;
  readonly text: string;
  /** RFC 3339. */
  readonly at: string;
}
