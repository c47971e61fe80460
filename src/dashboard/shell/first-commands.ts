/** What a newcomer types first: the one place that knows it. A test holds each of them against the command line. */

/** A lane, a task for it, and a worker that does it; complete as they stand. */
export function firstCommands(board: string): readonly string[] {
  const on = board === 'default' ? '' : ` --board ${board}`;
  return [
    `lanekeeper lane register factory${on}`,
    `lanekeeper task add "First task" --lane factory${on}`,
    `lanekeeper work factory${on} -- sh -c 'cat > /dev/null; echo hello'`,
  ];
}
