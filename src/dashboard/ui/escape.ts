/**
 * Escape in a dialog, taken before the browser's own way of closing one: that asks nobody after a second escape in a row, and what was
 * entered would be gone from sight while its owner takes the dialog for open. `onCancel` remains for other ways to leave, as a phone's gesture.
 */
import type { KeyboardEvent } from 'react';

export function onEscape(leave: () => void): (event: KeyboardEvent) => void {
  return (event) => {
    if (event.key !== 'Escape' || event.nativeEvent.isComposing) return;
    event.preventDefault();
    // The keys of the page below are not meant.
    event.stopPropagation();
    leave();
  };
}
