/** What waits for a person, in the title and the icon of the tab: seen from another tab. */
import { useEffect } from 'react';
import type { AttentionCount } from './attention-count.ts';

/** The icon of the page with a red dot. A file of its own: the page's policy lets in nothing that is not this server's. */
const PLAIN_ICON = '/favicon.svg';
const DOTTED_ICON = '/favicon-attention.svg';

export function useTabBadge(board: string, { count, isMore }: AttentionCount): void {
  useEffect(() => {
    const prefix = count > 0 ? `(${count}${isMore ? '+' : ''}) ` : '';
    document.title = `${prefix}${board} · Lanekeeper`;
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon !== null) icon.href = count > 0 ? DOTTED_ICON : PLAIN_ICON;
  }, [board, count, isMore]);
}
