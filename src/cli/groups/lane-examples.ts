/** What the help of each verb of lanes begins with. */
export const LANE_EXAMPLES: Readonly<Record<string, string>> = {
  register: `  lanekeeper lane register factory
  lanekeeper lane register factory --max-concurrent-claims 4 --label site=berlin
  lanekeeper lane register agent --kind spawn --spawn '{"argv": ["./agent.sh", "{task}"]}'`,
  list: `  lanekeeper lane list
  lanekeeper lane list --watch
  lanekeeper lanes list --json`,
  show: `  lanekeeper lane show factory
  lanekeeper lane get factory --json`,
  set: `  lanekeeper lane set factory --max-concurrent-claims 4
  lanekeeper lane set factory --clear max_runtime_seconds`,
  pause: '  lanekeeper lane pause factory',
  resume: '  lanekeeper lane resume factory',
  drain: '  lanekeeper lane drain factory',
  takeover: `  lanekeeper lane takeover factory --mode release --worker press-2
  lanekeeper lane takeover factory --mode adopt --worker press-2 --json > claims.json`,
  claim: `  lanekeeper lane claim factory --wait --json
  ( claim=$(lanekeeper lane claim factory --wait --env) && eval "$claim" && lanekeeper run complete --summary "done" )`,
  delete: '  lanekeeper lane delete factory --yes',
  key: `  lanekeeper lane key factory > factory.key
  lanekeeper lane key factory --name press-2 --expires-at +30d > factory.key`,
};
