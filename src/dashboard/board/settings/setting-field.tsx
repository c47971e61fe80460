/** One setting in the form: what it is, what it does and is by default, what is wrong with what was entered, and what somebody else has set. */
import { type ReactNode, useId, useRef } from 'react';
import { Button } from '../../ui/button.tsx';
import { SettingControl } from './setting-control.tsx';
import { wordsOf } from './setting-entry.ts';
import { type FieldState, lossOf } from './settings-draft.ts';

interface SettingFieldProps {
  readonly field: FieldState;
  readonly problem: string | null;
  readonly onEnter: (text: string) => void;
  readonly onUseTheirs: () => void;
  readonly onKeepMine: () => void;
}

export function SettingField({
  field,
  problem,
  onEnter,
  onUseTheirs,
  onKeepMine,
}: SettingFieldProps): ReactNode {
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const { setting, text, now, isContested } = field;
  const reading = readingOf(field);
  const isLoss = lossOf(field) !== null;
  const described = [
    `${id}-hint`,
    reading !== null && `${id}-reading`,
    isLoss && `${id}-loss`,
    isContested && `${id}-theirs`,
    problem !== null && `${id}-problem`,
  ];
  const control = (
    <SettingControl
      setting={setting}
      id={id}
      text={text}
      isInvalid={problem !== null}
      describedBy={described.filter(Boolean).join(' ')}
      onEnter={onEnter}
    />
  );
  // The button that was pressed goes; the focus stays with the setting.
  const choose = (decide: () => void): void => {
    decide();
    root.current?.querySelector<HTMLElement>('input, textarea')?.focus();
  };
  return (
    <div ref={root} className="field">
      {setting.kind === 'switch' ? (
        <label htmlFor={id} className="board-settings-switch">
          {control} {setting.label}
        </label>
      ) : (
        <>
          <label htmlFor={id}>{setting.label}</label>
          {control}
        </>
      )}
      {reading !== null && (
        <p id={`${id}-reading`} className="small">
          {reading}
        </p>
      )}
      {isLoss && (
        <p id={`${id}-loss`} className="small board-settings-loss">
          <span aria-hidden="true">⚠ </span>What is older is deleted for good.
        </p>
      )}
      <p id={`${id}-hint`} className="muted small">
        {setting.hint} Default: {wordsOf(setting, setting.initial)}.
      </p>
      {problem !== null && (
        <p id={`${id}-problem`} className="problem" role="alert">
          {problem}
        </p>
      )}
      {isContested && (
        <div className="theirs">
          <p id={`${id}-theirs`}>Somebody else has set this to: {wordsOf(setting, now)}</p>
          <Button
            size="small"
            aria-label={`Use theirs: ${setting.label}`}
            onClick={() => choose(onUseTheirs)}
          >
            Use theirs
          </Button>
          <Button size="small" aria-label={`Keep mine: ${setting.label}`} onClick={() => choose(onKeepMine)}>
            Keep mine
          </Button>
        </div>
      )}
    </div>
  );
}

/** A time as the server and the command line have it, too, and what it was. */
function readingOf({ setting, now, change, complaint }: FieldState): string | null {
  if (setting.kind !== 'time' || complaint !== null) return null;
  const value = change === null ? now : change.value;
  const words = wordsOf(setting, value);
  const reading = typeof value === 'number' ? `${words} = ${value.toLocaleString()} s` : words;
  return change === null ? reading : `${reading}, instead of ${wordsOf(setting, now)}`;
}
