import { describe, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../chaos/faults.ts';
import { decideMeans, MissingMeansError } from '../../chaos/means.ts';

const ALL = {
  fakeTimeLibrary: '/lib/libfaketimeMT.so.1',
  standby: { major: 15, directory: '/bin' },
  hasStandby: true,
  mustHaveAll: false,
};

describe('a run does what its machine can bring about', () => {
  it('has every kind of fault where nothing is missing', () => {
    const means = decideMeans(null, ALL);
    expect(means.faults).toEqual(FAULT_KINDS);
    expect(means.omissions).toEqual([]);
  });

  it('leaves the clocks alone without libfaketime, and says so', () => {
    const means = decideMeans(null, { ...ALL, fakeTimeLibrary: null });
    expect(means.faults).not.toContain('jump-server-clock');
    expect(means.faults).not.toContain('jump-worker-clock');
    expect(means.omissions).toEqual([expect.stringContaining('there is no libfaketime')]);
  });

  it('fails nothing over that has no standby, and says so', () => {
    const means = decideMeans(null, { ...ALL, standby: null, hasStandby: false });
    expect(means.faults).not.toContain('failover');
    expect(means.omissions).toEqual([expect.stringContaining('--failover')]);
  });

  it('refuses what was asked for by name and cannot be had', () => {
    const without = { ...ALL, fakeTimeLibrary: null, standby: null, hasStandby: false };
    expect(() => decideMeans(['jump-worker-clock'], without)).toThrow(MissingMeansError);
    expect(() => decideMeans(['failover'], without)).toThrow(MissingMeansError);
    expect(() => decideMeans(null, { ...without, hasStandby: true })).toThrow(MissingMeansError);
  });

  it('leaves nothing out where everything is required, and names all that is missing', () => {
    const required = { ...ALL, mustHaveAll: true };
    const without = { ...required, fakeTimeLibrary: null, standby: null, hasStandby: false };
    expect(() => decideMeans(null, without)).toThrow(
      /jump-worker-clock: there is no libfaketime.*failover: /,
    );
    expect(() => decideMeans(null, { ...required, fakeTimeLibrary: null })).toThrow(MissingMeansError);
    expect(() => decideMeans(null, { ...without, fakeTimeLibrary: ALL.fakeTimeLibrary })).toThrow('failover');
    expect(decideMeans(null, required)).toEqual(decideMeans(null, ALL));
    expect(decideMeans(['kill-worker'], without).faults).toEqual(['kill-worker']);
  });

  it('loads libfaketime into no process where no clock is to jump', () => {
    expect(decideMeans(['kill-worker'], ALL).fakeTimeLibrary).toBeNull();
    expect(decideMeans(['jump-worker-clock'], ALL).fakeTimeLibrary).toBe(ALL.fakeTimeLibrary);
  });
});
