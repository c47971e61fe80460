/** The filter with which each board was last looked at in this tab: a page that leads back to the board leads back to it. */
import { useEffect } from 'react';
import { useLocation, useSearch } from 'wouter';
import { withFields } from './address-fields.ts';
import { linkToPage, OPEN_SETTINGS } from './links.ts';

/** What stands behind the "?" of a board's address. */
const lastSearch = new Map<string, string>();

/** Of the frame: it sees every address. */
export function useRememberFilter(board: string): void {
  const [location] = useLocation();
  const search = useSearch();
  useEffect(() => {
    if (location !== '/') return;
    // Whoever comes back comes back to the board, not to its settings.
    const filter = withFields(new URLSearchParams(search), { settings: '' });
    lastSearch.set(board, filter.toString());
  }, [board, location, search]);
}

export function linkBackToBoard(board: string): string {
  const search = lastSearch.get(board) ?? '';
  return search === '' ? linkToPage(board, 'board') : `${linkToPage(board, 'board')}?${search}`;
}

/** The settings of the board, over the board as it was last looked at. */
export function linkToSettings(board: string): string {
  const search = withFields(new URLSearchParams(lastSearch.get(board) ?? ''), OPEN_SETTINGS);
  return `${linkToPage(board, 'board')}?${search}`;
}
