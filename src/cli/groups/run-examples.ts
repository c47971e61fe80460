/** What the help of each verb of runs begins with. */
export const RUN_EXAMPLES: Readonly<Record<string, string>> = {
  get: `  lanekeeper run get
  lanekeeper run get run_01h… --json`,
  heartbeat: `  lanekeeper run heartbeat
  lanekeeper run heartbeat --progress 3 --note "three of five" --checkpoint '{"at": 3}'`,
  output: `  make 2>&1 | lanekeeper run output -
  lanekeeper run output "half way"`,
  ack: '  lanekeeper run ack msg_01h…',
  complete: `  lanekeeper run complete --summary "built" --result '{"files": 3}'
  lanekeeper run complete --summary @notes.md --review --reviewer qa`,
  'request-changes': '  lanekeeper run request-changes "the tests are missing"',
  block: '  lanekeeper run block "which account is it?" --kind needs_input',
  release: '  lanekeeper run release "not on this machine" --delay-seconds 60',
  fail: `  lanekeeper run fail "the disk is full" --retry-after-seconds 600
  make 2> error.txt || lanekeeper run fail - < error.txt`,
  batch: `  lanekeeper run batch --from ends.jsonl
  jq -c '.claims[] | {op: "complete", token}' claims.json | lanekeeper run batch --from -`,
};
