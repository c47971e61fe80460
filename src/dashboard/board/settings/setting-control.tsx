/** What a setting is typed or chosen in. All of them have text, so that what is no value stays to be seen and to be mended. */
import type { ReactNode } from 'react';
import { useBoardView } from '../../live/live-context.tsx';
import { entryOfSwitch, isOnEntry } from './setting-entry.ts';
import type { Setting } from './settings.ts';
import { entryOfTime, TIME_UNITS, type TimeUnit, typedTime } from './typed-time.ts';

interface SettingControlProps {
  readonly setting: Setting;
  readonly id: string;
  readonly text: string;
  readonly isInvalid: boolean;
  readonly describedBy: string;
  readonly onEnter: (text: string) => void;
}

export function SettingControl(props: SettingControlProps): ReactNode {
  const { setting, text, onEnter } = props;
  const common = commonOf(props);
  switch (setting.kind) {
    case 'switch':
      return (
        <input
          {...common}
          type="checkbox"
          checked={isOnEntry(text)}
          onChange={(event) => onEnter(entryOfSwitch(event.target.checked))}
        />
      );
    case 'prose':
    case 'lines':
      return <textarea {...common} rows={2} value={text} onChange={(event) => onEnter(event.target.value)} />;
    case 'time':
      return <TimeControl {...props} />;
    case 'lane':
      return <LaneControl {...props} />;
    case 'line':
    case 'count':
      return (
        <input
          {...common}
          inputMode={setting.kind === 'count' ? 'numeric' : undefined}
          value={text}
          onChange={(event) => onEnter(event.target.value)}
        />
      );
  }
}

function commonOf({ setting, id, isInvalid, describedBy }: SettingControlProps) {
  return {
    id,
    name: setting.pointer,
    autoComplete: 'off',
    'aria-invalid': isInvalid,
    'aria-describedby': describedBy,
  } as const;
}

/** Not of the type "number": that gives what is no number as nothing, and nothing is for ever. */
function TimeControl(props: SettingControlProps): ReactNode {
  const { setting, text, onEnter } = props;
  const { amount, unit } = typedTime(text);
  return (
    <div className="board-settings-time">
      <input
        {...commonOf(props)}
        inputMode="numeric"
        placeholder={setting.none}
        value={amount}
        onChange={(event) => onEnter(entryOfTime({ amount: event.target.value, unit }))}
      />
      <select
        aria-label={`Unit of ${setting.label}`}
        value={unit}
        onChange={(event) => onEnter(entryOfTime({ amount, unit: event.target.value as TimeUnit }))}
      >
        {TIME_UNITS.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </div>
  );
}

function LaneControl(props: SettingControlProps): ReactNode {
  const { id, text, onEnter } = props;
  const { lanes } = useBoardView();
  return (
    <>
      <input
        {...commonOf(props)}
        list={`${id}-lanes`}
        value={text}
        onChange={(event) => onEnter(event.target.value)}
      />
      <datalist id={`${id}-lanes`}>
        {[...lanes.keys()].map((lane) => (
          <option key={lane} value={lane} />
        ))}
      </datalist>
    </>
  );
}
