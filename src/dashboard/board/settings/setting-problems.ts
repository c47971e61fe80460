/** What the server has to say of what was sent, at the settings that it is about. Pure. */
import { LanekeeperError } from '../../../client/index.ts';
import { SETTINGS, type SettingPointer } from './settings.ts';

export type SettingProblems = Readonly<Partial<Record<SettingPointer, string>>>;

export interface Refusal {
  readonly problems: SettingProblems;
  /** What is of no single setting. null: all of it is. */
  readonly rest: unknown;
}

export const NO_PROBLEMS: SettingProblems = {};

export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof LanekeeperError) || error.errors.length === 0)
    return { problems: NO_PROBLEMS, rest: error };
  const problems: Partial<Record<SettingPointer, string>> = {};
  let isAllPlaced = true;
  for (const { pointer, detail } of error.errors) {
    const setting = SETTINGS.find(
      (each) => pointer === each.pointer || pointer.startsWith(`${each.pointer}/`),
    );
    if (setting === undefined) {
      isAllPlaced = false;
      continue;
    }
    const line = lineText(pointer.slice(setting.pointer.length + 1));
    const said = problems[setting.pointer];
    problems[setting.pointer] = `${said === undefined ? '' : `${said}; `}${line}${detail}`;
  }
  return { problems, rest: isAllPlaced ? null : error };
}

/** Of a list the place of the offending line. */
function lineText(index: string): string {
  return /^\d+$/.test(index) ? `line ${Number(index) + 1}: ` : '';
}
