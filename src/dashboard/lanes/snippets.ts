/**
 * What to type to become a worker of a lane. Pure texts, complete as they stand: a test takes them from the page and runs them. The key
 * stands in a variable in all of them, so that it is written once and configuration can be shared.
 */
export interface SnippetSubject {
  /** The origin of the server, as the browser sees it. */
  readonly url: string;
  readonly board: string;
  readonly lane: string;
  /** undefined: nobody has issued a key here. */
  readonly secret: string | undefined;
  readonly leaseSeconds: number;
}

export const SECRET_PLACEHOLDER = 'lk_lane_YOUR_KEY';

/** Heartbeats a lease: two may get lost. */
const HEARTBEATS_PER_LEASE = 3;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export function keySnippet({ secret = SECRET_PLACEHOLDER }: SnippetSubject): string {
  return `export LANEKEEPER_TOKEN=${quoted(secret)}`;
}

function environment(subject: SnippetSubject): string {
  return `export LANEKEEPER_URL=${quoted(subject.url)} LANEKEEPER_BOARD=${quoted(subject.board)}\n${keySnippet(subject)}`;
}

export function curlSnippet(subject: SnippetSubject): string {
  const { lane, leaseSeconds } = subject;
  const beatSeconds = Math.max(1, Math.floor(leaseSeconds / HEARTBEATS_PER_LEASE));
  const json = "-H 'Content-Type: application/json'";
  const asClaim = `-H "Authorization: Bearer $CLAIM_TOKEN" ${json}`;
  return `${environment(subject)}

# Claim: waits up to 30 s for work. The answer has the task, what earlier attempts left behind, and the token of this claim.
CLAIM=$(curl -fsS -X POST "$LANEKEEPER_URL/v1/boards/$LANEKEEPER_BOARD/lanes/${lane}/claims" \\
  -H "Authorization: Bearer $LANEKEEPER_TOKEN" ${json} -H 'Prefer: wait=30' -d '{"worker":"curl"}')
RUN=$(printf '%s' "$CLAIM" | grep -o '"run_id":"run_[^"]*' | head -n 1 | cut -d '"' -f 4)
CLAIM_TOKEN=$(printf '%s' "$CLAIM" | grep -o '"token":"eyJ[^"]*' | tail -n 1 | cut -d '"' -f 4)

if [ -n "$RUN" ]; then
  # Heartbeat: every ${beatSeconds} s while you work. After ${leaseSeconds} s without one the task is somebody else's.
  curl -fsS -X POST "$LANEKEEPER_URL/v1/runs/$RUN/heartbeat" ${asClaim} \\
    -d '{"note":"at work"}'
  # End it, once: complete, fail, block or release.
  curl -fsS -X POST "$LANEKEEPER_URL/v1/runs/$RUN/complete" ${asClaim} \\
    -d '{"summary":"done with curl"}'
else
  echo 'Nothing was ready.'
fi`;
}

/** Runs until it is stopped. */
export function workSnippet(subject: SnippetSubject): string {
  return `${environment(subject)}

# Runs the command for each task, which it finds as JSON on its stdin. Exit code 0 completes the task.
lanekeeper work ${subject.lane} -- sh -c 'cat > /dev/null; echo done'`;
}

export function claimSnippet(subject: SnippetSubject): string {
  return `${environment(subject)}

# One task, by hand. The claim is in the environment of the parentheses.
(
  claim=$(lanekeeper lane claim ${subject.lane} --wait 30s --env) && eval "$claim" || exit
  lanekeeper run heartbeat --note "at work"
  lanekeeper run complete --summary "done by hand"
)`;
}

export function sdkSnippet({ url, board, lane }: SnippetSubject): string {
  const text = (value: string): string => quoted(value);
  return `import { connect } from 'lanekeeper/client';

const client = connect({ url: ${text(url)}, token: process.env.LANEKEEPER_TOKEN, board: ${text(board)} });
const worker = client.worker({ lane: ${text(lane)}, concurrency: 1 }, async (task, context) => {
  await context.progress(0.5, \`working on \${task.title}\`);
  return { summary: 'done with the SDK' };
});
process.once('SIGTERM', () => worker.stop());
process.once('SIGINT', () => worker.stop());
await worker.run();`;
}

function mcpDocument(server: object): string {
  return JSON.stringify({ mcpServers: { lanekeeper: server } }, null, 2);
}

/** `.mcp.json` for clients that reach the server over HTTP; the client puts the variable's value in. */
export function mcpHttpSnippet({ url }: SnippetSubject): string {
  const headers = { Authorization: `Bearer \${LANEKEEPER_TOKEN}` };
  return mcpDocument({ type: 'http', url: `${url}/mcp`, headers });
}

/** The same for clients that only start processes. */
export function mcpStdioSnippet({ url }: SnippetSubject): string {
  return mcpDocument({
    type: 'stdio',
    command: 'lanekeeper',
    args: ['mcp', '--stdio', '--url', url],
    env: { LANEKEEPER_TOKEN: `\${LANEKEEPER_TOKEN}` },
  });
}

export function mcpCommands({ url, lane }: SnippetSubject): string {
  return ['codex', 'opencode']
    .map((client) => `lanekeeper mcp config --client ${client} --url ${quoted(url)} --lane ${lane}`)
    .join('\n');
}
