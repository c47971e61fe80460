/** The filter with which each board was last looked at in this tab: a page that leads back to the board leads back to it. */
import { useEffect } from 'react';
import { useLocation, useSearch } from 'wouter';
import { linkToPage } from './links.ts';

/** What stands behind the "?" of a board's address. */
const lastSearch = new Map<string, string>();

/** Of the frame: it sees every address. */
export function useRememberFilter(board: string): void {
  const [location] = useLocation();
  const search = useSearch();
  useEffect(() => {
    if (location === '/') lastSearch.set(board, search);
  }, [board, location, search]);
}

export function linkBackToBoard(board: string): string {
  const search = lastSearch.get(board) ?? '';
  return search === '' ? linkToPage(board, 'board') : `${linkToPage(board, 'board')}?${search}`;
}
