/** What the help of each verb of tasks begins with. */
export const TASK_EXAMPLES: Readonly<Record<string, string>> = {
  add: `  lanekeeper task add "Build the thing" --lane factory --priority 5 --payload '{"ref": "main"}'
  lanekeeper task add "Test it" --lane qa --parent task_01h… --body @what-to-test.md
  lanekeeper task add --from tasks.jsonl --lane factory`,
  list: `  lanekeeper task list --status ready,running --lane factory
  lanekeeper tasks list --search release --all --json
  lanekeeper task list --status running --watch`,
  get: `  lanekeeper task get task_01h…
  lanekeeper task get nightly-42 --wait 600 --json
  lanekeeper task get task_01h… --watch`,
  context: '  lanekeeper task context task_01h…',
  set: `  lanekeeper task set task_01h… --priority 9 --title "Build it twice"
  lanekeeper task set task_01h… --clear tenant`,
  link: '  lanekeeper task link task_child task_parent',
  unlink: '  lanekeeper task unlink task_child task_parent',
  graph: '  lanekeeper task graph task_01h…',
  cancel: `  lanekeeper task cancel task_01h… --reason "not needed any more"
  lanekeeper task cancel task_01h… --deadline-seconds 5`,
  unblock: `  lanekeeper task unblock task_01h… --answer "use the second account"
  lanekeeper task unblock task_01h… --answer @answer.md`,
  complete: '  lanekeeper task complete task_01h… --summary "done by hand" --result \'{"files": 3}\'',
  assign: `  lanekeeper task assign task_01h… qa --reason "it needs a test first"
  lanekeeper task assign task_01h… -`,
  reclaim: '  lanekeeper task reclaim task_01h… --reason "the machine is gone"',
  schedule: `  lanekeeper task schedule task_01h… +10m
  lanekeeper task schedule task_01h… 2030-01-01T06:00:00Z`,
  'request-changes': '  lanekeeper task request-changes task_01h… "the tests are missing"',
  promote: '  lanekeeper task promote task_01h…',
  accept: '  lanekeeper task accept task_01h…',
  archive: '  lanekeeper task archive task_01h…',
  reopen: '  lanekeeper task reopen task_01h…',
  steer: `  lanekeeper task steer task_01h… "skip the Windows build"
  git diff | lanekeeper task steer task_01h… -`,
  messages: '  lanekeeper task messages task_01h…',
  output: `  lanekeeper task output task_01h…
  lanekeeper task logs task_01h… --follow --tail 20`,
  delete: '  lanekeeper task delete task_01h… --yes',
  bulk: `  lanekeeper task bulk cancel --lane factory --status ready --reason "the release is off"
  lanekeeper task bulk assign task_01h… nightly-42 --to-lane qa
  lanekeeper task bulk delete --status archived --limit 1000 --dry-run`,
  'bulk-cancel': '  lanekeeper task bulk-cancel op_01h…',
  comment: `  lanekeeper task comment task_01h… "the key is in the safe"
  lanekeeper task comment task_01h… @notes.md`,
  comments: '  lanekeeper task comments task_01h…',
  runs: '  lanekeeper task runs task_01h…',
  events: `  lanekeeper task events task_01h…
  lanekeeper task events task_01h… --limit 20 --json`,
  why: '  lanekeeper task why task_01h…',
  wait: `  lanekeeper task wait task_01h… nightly-42 --timeout 10m
  lanekeeper task wait task_01h… --for any --json && echo "somebody should look"`,
};
