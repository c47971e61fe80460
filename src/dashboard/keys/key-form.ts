/** A new key, and a sign-in link, as a person enters them. Pure. */
import type { BodyOf, Key } from '../../client/index.ts';

type NewKey = BodyOf<'createKey'>;
type SignInRequest = BodyOf<'createSignInCode'>;

const ROLES: readonly { readonly role: Key['role']; readonly text: string }[] = [
  { role: 'observer', text: 'observer: sees everything, changes nothing' },
  { role: 'orchestrator', text: 'orchestrator: hands out work, operates lanes and tasks' },
  { role: 'lane', text: 'lane: claims on one lane' },
  { role: 'admin', text: 'admin: everything, keys too' },
];

export const ROLE_OPTIONS = ROLES.map(({ role, text }) => ({ value: role, label: text }));

type KeyEntries = Readonly<Record<string, string>>;

/** Separated by commas or spaces; none is undefined, for the server's default. */
export function parseBoards(text: string): string[] | undefined {
  const boards = text.split(/[\s,]+/).filter((board) => board !== '');
  return boards.length === 0 ? undefined : boards;
}

/** `expires_at` is the local time of a person, as an input of the browser has it. */
export function newKey(entries: KeyEntries): NewKey {
  const entered = (name: string): string => (entries[name] ?? '').trim();
  const role = ROLES.find((one) => one.role === entered('role'))?.role ?? 'observer';
  const boards = parseBoards(entered('boards'));
  const body: NewKey = { role, name: entered('name') };
  if (role === 'lane') {
    body.lane = entered('lane');
    // A lane is of one board.
    if (boards?.[0] !== undefined) body.board = boards[0];
  } else if (boards !== undefined) body.boards = boards;
  if (entered('owner') !== '' && role !== 'lane') body.owner = entered('owner');
  if (entered('expires_at') !== '') body.expires_at = new Date(entered('expires_at')).toISOString();
  return body;
}

export function signInRequest(entries: KeyEntries): SignInRequest {
  const role = ROLES.find((one) => one.role === entries['role'])?.role ?? 'observer';
  const boards = parseBoards(entries['boards'] ?? '');
  const name = (entries['name'] ?? '').trim();
  return {
    // The server's own default is an admin.
    role: role === 'lane' ? 'observer' : role,
    ...(boards === undefined ? {} : { boards }),
    ...(name === '' ? {} : { name }),
  };
}
