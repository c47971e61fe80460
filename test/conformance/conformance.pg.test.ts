/**
 * The main road through the contract, by plain HTTP and through the SDK alike: the same cases, two speakers. Whatever keeps the contract
 * passes, at any base URL (see target.ts).
 */
import { describe, expect, test } from 'vitest';
import { logCases } from './cases/log.ts';
import { nounCases } from './cases/nouns.ts';
import { problemCases } from './cases/problems.ts';
import { returnCases } from './cases/returns.ts';
import { runCases } from './cases/runs.ts';
import { taskCases } from './cases/tasks.ts';
import { rawSpeaker } from './raw-speaker.ts';
import { sdkSpeaker } from './sdk-speaker.ts';
import type { Speaker } from './speaker.ts';
import { useWorld } from './speaker.ts';
import { useTarget } from './target.ts';

const target = useTarget();

describe.each([
  ['raw', rawSpeaker],
  ['sdk', sdkSpeaker],
] as const)('a server of this contract, %s', (name, speak) => {
  let speaker: Speaker | undefined;
  const world = useWorld(name, () => {
    speaker ??= speak(target.url, target.token);
    return speaker;
  });
  nounCases(world);
  taskCases(world);
  runCases(world);
  returnCases(world);
  logCases(world);
  problemCases(world);
});

describe('what only plain HTTP can say', () => {
  test('bodies that are no JSON, methods that are not offered, and pages for people', async () => {
    const { api } = target;
    const tasks = '/v1/boards/default/tasks';
    expect((await api.call('POST', tasks, { rawBody: '{' })).code).toBe('invalid_json');
    expect((await api.call('PUT', tasks, { body: {} })).code).toBe('method_not_allowed');
    const plain = { rawBody: '{}', headers: { 'Content-Type': 'text/plain' } };
    expect((await api.call('POST', tasks, plain)).code).toBe('unsupported_media_type');
    expect((await api.get('/docs', { token: null })).status).toBe(200);
    expect((await api.get('/v1/nowhere')).code).toBe('not_found');
  });

  test('every answer has a request id, and one that was given comes back', async () => {
    const { api } = target;
    const id = '0f0e0d0c-0b0a-4908-8706-050403020100';
    const answer = await api.get('/v1/whoami', { headers: { 'X-Request-Id': id } });
    expect(answer.headers.get('X-Request-Id')).toBe(id);
    expect((await api.get('/livez')).headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});
