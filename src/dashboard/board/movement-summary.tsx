/** Says what has moved, at most once in five seconds: a screen reader that reads every event says nothing any more. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useEvents } from '../live/live-context.tsx';
import { Movement } from './movement.ts';

const PAUSE_MS = 5000;

export function MovementSummary(): ReactNode {
  const [text, setText] = useState('');
  const movement = useRef<Movement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  movement.current ??= new Movement();
  useEvents((events) => {
    movement.current?.add(events);
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      const said = movement.current?.take() ?? null;
      if (said !== null) setText(said);
    }, PAUSE_MS);
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <p className="visually-hidden" aria-live="polite">
      {text}
    </p>
  );
}
