/** The authenticated caller. */
import type { Role } from '../../contract/statuses.ts';

export interface KeyPrincipal {
  readonly kind: 'key';
  readonly keyId: string;
  readonly role: Role;
  readonly name: string;
  /** `*`, or the names of the boards it may see. */
  readonly boards: '*' | ReadonlySet<string>;
  /** Only for role lane. */
  readonly lane: string | null;
  readonly owner: string | null;
  /** RFC 3339; null: does not expire. */
  readonly expiresAt: string | null;
  /** Its MCP tools also answer to their alias names. */
  readonly hasMcpAliases: boolean;
}

export interface ClaimPrincipal {
  readonly kind: 'claim';
  /** On the wire's form, as are taskId and lane. */
  readonly runId: string;
  readonly taskId: string;
  readonly board: string;
  readonly lane: string;
  readonly worker: string;
  readonly attempt: number;
  readonly scope: readonly string[];
  readonly expiresAtSeconds: number;
  readonly issuedAtSeconds: number;
}

export type Principal = KeyPrincipal | ClaimPrincipal;

export interface ActorRef {
  readonly type: 'key' | 'claim' | 'system';
  readonly id: string;
}

export function actorOf(principal: Principal): ActorRef {
  return principal.kind === 'key'
    ? { type: 'key', id: principal.keyId }
    : { type: 'claim', id: principal.runId };
}
