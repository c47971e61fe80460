/** The settings of a board for those who may not change them. */
import type { ReactNode } from 'react';
import type { Board } from '../../../client/index.ts';
import { Button } from '../../ui/button.tsx';
import { wordsOf } from './setting-entry.ts';
import { SETTING_GROUPS, SETTINGS, valueIn } from './settings.ts';

interface SettingsFactsProps {
  readonly board: Board;
  readonly onClose: () => void;
}

export function SettingsFacts({ board, onClose }: SettingsFactsProps): ReactNode {
  return (
    <>
      <p className="dialog-text">Only admins change them.</p>
      {Object.entries(SETTING_GROUPS).map(([group, heading]) => (
        <section key={group} className="board-settings-facts">
          <h3>{heading}</h3>
          <dl className="facts">
            {SETTINGS.filter((setting) => setting.group === group).map((setting) => (
              <div key={setting.pointer}>
                <dt>{setting.label}</dt>
                <dd>{wordsOf(setting, valueIn(board, setting))}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <div className="dialog-buttons">
        <Button onClick={onClose}>Close</Button>
      </div>
    </>
  );
}
