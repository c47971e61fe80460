/** What the events of a task say of the holder of one claim; they are read once, for this and the timeline alike. */
import { useMemo } from 'react';
import type { Event } from '../../client/index.ts';
import { Grown } from './grown.ts';
import { type HolderSigns, NO_SIGNS, signsAfter } from './holder-signs.ts';

export function useHolderSigns(events: readonly Event[], runId: string): HolderSigns {
  const signs = useMemo(
    () =>
      new Grown<HolderSigns>(NO_SIGNS, (before, added) =>
        added.reduce((all, event) => signsAfter(all, event, runId), before),
      ),
    [runId],
  );
  return signs.of(events);
}
