/** The keyboard map, opened with `?`. */
import { type ReactNode, useState } from 'react';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { type Shortcut, useShortcut, useShortcutList } from './shortcuts.tsx';

const GROUPS: readonly Shortcut['group'][] = ['Go to', 'Board', 'Task', 'View'];

export function HelpDialog(): ReactNode {
  const [isOpen, setOpen] = useState(false);
  useShortcut({ keys: '?', label: 'This help', group: 'View', act: () => setOpen(true) });
  return (
    <>
      <Button
        tone="ghost"
        size="small"
        aria-label="Keyboard help"
        title="Keyboard help (?)"
        onClick={() => setOpen(true)}
      >
        ?
      </Button>
      {isOpen && <KeyList onClose={() => setOpen(false)} />}
    </>
  );
}

function KeyList({ onClose }: { readonly onClose: () => void }): ReactNode {
  const list = useShortcutList();
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      {GROUPS.map((group) => {
        const keys = list.filter((shortcut) => shortcut.group === group);
        if (keys.length === 0) return null;
        return (
          <section key={group}>
            <h3>{group}</h3>
            <dl className="keys">
              {keys.map((shortcut) => (
                <div key={shortcut.keys + shortcut.label}>
                  <dt>
                    {shortcut.keys.split(' ').map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{shortcut.label}</dd>
                </div>
              ))}
            </dl>
          </section>
        );
      })}
      <div className="dialog-buttons">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}
