/** What a process is given to know its task by: one JSON document, and the claim in its environment. */
import type { Claim } from '../../contract/claims.ts';

/** For stdin: the task, with what earlier attempts left under "handoff". */
export function taskDocument(claim: Claim): string {
  return `${JSON.stringify({ ...claim.task, handoff: claim.handoff })}\n`;
}

/** The token speaks for this claim only. */
export function claimEnvironment(claim: Claim, url: string): Record<string, string> {
  return {
    LANEKEEPER_URL: url,
    LANEKEEPER_BOARD: claim.task.board,
    LANEKEEPER_LANE: claim.lane,
    LANEKEEPER_TASK_ID: claim.task.id,
    LANEKEEPER_RUN_ID: claim.run_id,
    LANEKEEPER_ATTEMPT: String(claim.attempt),
    LANEKEEPER_TOKEN: claim.token,
  };
}
