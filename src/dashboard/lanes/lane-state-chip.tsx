/** The state of a lane by word, shape and colour. */
import type { ReactNode } from 'react';
import { Chip } from '../ui/status-chip.tsx';
import type { LaneState } from './lane-state.ts';

interface Look {
  readonly word: string;
  readonly shape: string;
  /** Of the colours that chips have. */
  readonly chip: string;
}

const LOOKS: Readonly<Record<LaneState, Look>> = {
  online: { word: 'online', shape: '●', chip: 'online' },
  busy: { word: 'busy', shape: '◐', chip: 'online' },
  at_capacity: { word: 'at capacity', shape: '■', chip: 'info' },
  draining: { word: 'draining', shape: '▽', chip: 'draining' },
  paused: { word: 'paused', shape: '‖', chip: 'paused' },
  offline: { word: 'offline', shape: '○', chip: 'quiet' },
  people: { word: 'for people', shape: '◇', chip: 'quiet' },
};

interface LaneStateChipProps {
  readonly state: LaneState;
  /** Nobody is there, and somebody should be. */
  readonly isAlarming: boolean;
}

export function LaneStateChip({ state, isAlarming }: LaneStateChipProps): ReactNode {
  const { word, shape, chip } = LOOKS[state];
  return (
    <Chip kind={isAlarming ? 'failed' : chip}>
      <span aria-hidden="true">{shape} </span>
      {word}
    </Chip>
  );
}
