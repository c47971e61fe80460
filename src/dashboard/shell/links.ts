/** Addresses of the pages: the one place that knows their form. All are below /boards/, which the server answers with the app. */
export const PAGES = [
  'board',
  'lanes',
  'attention',
  'delegations',
  'deliveries',
  'activity',
  'charts',
  'keys',
] as const;
export type Page = (typeof PAGES)[number];

/** A part of an address that somebody may have typed: what is no percent-encoding stays as it is. */
export function decodedPart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const root = (board: string): string => `/boards/${encodeURIComponent(board)}`;

/** The router writes a board's own address as "/boards/a/?q=b" once a filter stands in it, and without the slash before. */
export function withoutEndingSlash(address: string): string {
  return address.replace(/^([^?#]+)\/(?=[?#]|$)/, '$1');
}

export function linkToPage(board: string, page: Page): string {
  return page === 'board' ? root(board) : `${root(board)}/${page}`;
}

/** `eventSeq`: shows the timeline at that event. */
export function linkToTask(board: string, task: string, eventSeq?: number): string {
  const link = `${root(board)}/tasks/${encodeURIComponent(task)}`;
  return eventSeq === undefined ? link : `${link}#event-${eventSeq}`;
}

export function linkToDelegation(board: string, delegation: string): string {
  return `${root(board)}/delegations/${encodeURIComponent(delegation)}`;
}

export function linkToLane(board: string, lane: string): string {
  return `${root(board)}/lanes#${encodeURIComponent(lane)}`;
}

/** The board with a filter, as it stands in the address. */
export function linkToFilter(board: string, filter: string): string {
  return `${root(board)}?q=${encodeURIComponent(filter)}`;
}

/** What the address of a board has while its settings are open. */
export const OPEN_SETTINGS = { settings: 'open' } as const;
