/**
 * Saves what was changed, against the version that the person has seen. What is unclear, refused or contested is said at its field, and
 * nothing that was entered is lost by it. What deletes history is asked about first.
 */
import { useEffect, useRef, useState } from 'react';
import { type Board, LanekeeperError } from '../../../client/index.ts';
import { useClient } from '../../live/live-context.tsx';
import { useAsk } from '../../ui/ask.tsx';
import { useNotify } from '../../ui/notices.tsx';
import { lossesQuestion } from './losses-question.tsx';
import { NO_PROBLEMS, refusalOf, type SettingProblems } from './setting-problems.ts';
import type { SettingPointer } from './settings.ts';
import { bodyOf, type FieldState, lossOf, unclearOf } from './settings-draft.ts';

interface SettingsSaveOptions {
  readonly board: Board;
  readonly fields: readonly FieldState[];
  /** Reads the board again: somebody else was faster. */
  readonly reread: () => Promise<unknown>;
  readonly onSaved: () => void;
}

export interface SettingsSave {
  readonly save: () => Promise<void>;
  readonly isPending: boolean;
  /** How often it came to nothing. */
  readonly refusals: number;
  readonly problemOf: (field: FieldState) => string | null;
  /** What the server said of it is said of what was entered before. */
  readonly forget: (pointer: SettingPointer) => void;
  /** What is of no single setting. */
  readonly error: unknown;
  /** Somebody else was faster. */
  readonly isOutdated: boolean;
}

export function useSettingsSave({ board, fields, reread, onSaved }: SettingsSaveOptions): SettingsSave {
  const client = useClient();
  const ask = useAsk();
  const notify = useNotify();
  const [isPending, setPending] = useState(false);
  const [refusals, setRefusals] = useState(0);
  const [problems, setProblems] = useState<SettingProblems>(NO_PROBLEMS);
  const [error, setError] = useState<unknown>(null);
  const [isOutdated, setOutdated] = useState(false);
  const isThere = useRef(false);
  useEffect(() => {
    isThere.current = true;
    return () => {
      isThere.current = false;
    };
  }, []);
  const send = async (changed: readonly FieldState[]): Promise<void> => {
    setPending(true);
    try {
      await client.boards.patch(client.board, bodyOf(changed), { ifVersion: board.version });
      notify.done(`Saved: ${changed.map(({ setting }) => setting.label).join(', ')}`);
      // Who went to another page meanwhile is not fetched back from there.
      if (isThere.current) onSaved();
    } catch (refused) {
      if (refused instanceof LanekeeperError && refused.code === 'version_mismatch') {
        await reread();
        setOutdated(true);
      } else {
        const refusal = refusalOf(refused);
        setProblems(refusal.problems);
        setError(refusal.rest);
        notify.problem('Board settings', refused);
      }
      setRefusals((before) => before + 1);
    } finally {
      setPending(false);
    }
  };
  const save = async (): Promise<void> => {
    if (isPending) return;
    setProblems(NO_PROBLEMS);
    setError(null);
    setOutdated(false);
    if (unclearOf(fields).length > 0) {
      setRefusals(refusals + 1);
      return;
    }
    const changed = fields.filter(({ change }) => change !== null);
    const losses = changed.flatMap((field) => lossOf(field) ?? []);
    if (losses.length > 0 && (await ask(lossesQuestion(losses))) === null) return;
    if (changed.length === 0) onSaved();
    else await send(changed);
  };
  const problemOf = ({ setting, complaint, isContested }: FieldState): string | null => {
    const said = problems[setting.pointer];
    if (said !== undefined) return said;
    if (refusals === 0) return null;
    return complaint ?? (isContested ? 'Choose which of the two is to stand.' : null);
  };
  const forget = (pointer: SettingPointer): void =>
    setProblems(({ [pointer]: _forgotten, ...others }) => others);
  return { save, isPending, refusals, problemOf, forget, error, isOutdated };
}
