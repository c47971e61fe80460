/** The way to the settings of the board: a button and a key of its page. That they are open stands in the address. */
import { lazy, type ReactNode, Suspense } from 'react';
import { useShortcut } from '../../keyboard/shortcuts.tsx';
import { useAddressFields } from '../../shell/address-fields.ts';
import { OPEN_SETTINGS } from '../../shell/links.ts';
import { Button } from '../../ui/button.tsx';

const SettingsDialog = lazy(async () => ({
  default: (await import('./settings-dialog.tsx')).SettingsDialog,
}));

export function BoardSettings(): ReactNode {
  const [read, change] = useAddressFields();
  const open = (): void => change(OPEN_SETTINGS);
  useShortcut({ keys: ',', label: 'Settings of the board', group: 'Board', act: open });
  return (
    <>
      <Button onClick={open} title="Settings of the board (,)">
        Settings
      </Button>
      {read('settings') === OPEN_SETTINGS.settings && (
        <Suspense fallback={null}>
          <SettingsDialog onClose={() => change({ settings: '' })} />
        </Suspense>
      )}
    </>
  );
}
