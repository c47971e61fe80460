import { expect, test } from 'vitest';
import type { FaultEntry, HistoryEntry } from '../../chaos/history.ts';
import { omitFaultsOfOthers } from '../../chaos/own-faults.ts';

const faultOf = (target: string): FaultEntry => ({ entry: 'fault', at: 1, fault: 'kill', target });
const endOf = (process: string): HistoryEntry => ({ entry: 'watch_end', process, at: 1 });

test('what befell the clients of another board is left out, in whichever life, and nothing else', () => {
  const kept = [endOf('worker-1.1'), faultOf('worker-1.2'), faultOf('server-1'), faultOf('postgres')];
  const entries = [faultOf('churn.1'), ...kept, faultOf('churn.7')];
  const others = [endOf('churn.1'), faultOf('server-1')];
  expect(omitFaultsOfOthers(entries, others)).toEqual(kept);
});
