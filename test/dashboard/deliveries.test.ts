/** Deliveries and subscriptions in words, and what a subscription is asked for with, without a page. */
import { expect, test } from 'vitest';
import {
  canRetry,
  countsOf,
  subjectOf,
  targetText,
  webhookHost,
} from '../../src/dashboard/deliveries/delivery-words.ts';
import { bodyOf, type SubscribeDraft } from '../../src/dashboard/deliveries/subscribe-draft.ts';

test('the dead and those that pause are sent again, and nothing else', () => {
  const now = '2026-11-21T12:00:00.000Z';
  const nowMs = Date.parse(now);
  const later = '2026-11-21T12:05:00.000Z';
  expect(canRetry({ status: 'dead', due_at: now }, nowMs)).toBe(true);
  expect(canRetry({ status: 'pending', due_at: later }, nowMs)).toBe(true);
  expect(canRetry({ status: 'pending', due_at: now }, nowMs)).toBe(false);
  expect(canRetry({ status: 'leased', due_at: later }, nowMs)).toBe(false);
  expect(canRetry({ status: 'acked', due_at: now }, nowMs)).toBe(false);
});

test('a count of a page that is not all says so', () => {
  const deliveries = [{ status: 'dead' }, { status: 'dead' }, { status: 'leased' }] as const;
  expect(countsOf(deliveries, false)).toEqual({ pending: 0, synthesizing: 0, leased: 1, dead: 2 });
  expect(countsOf(deliveries, true).dead).toBe('2+');
});

test('targets are named, and of a webhook no more than its host', () => {
  expect(targetText({ platform: 'discord', chat_id: '42', thread_id: '7' })).toBe('discord 42 / thread 7');
  expect(targetText({ platform: 'hooks', chat_id: '', thread_id: '' })).toBe('hooks');
  expect(webhookHost({ webhook: { url: 'https://hooks.example.com/s3cret' } })).toBe('hooks.example.com');
  expect(webhookHost({ webhook: null })).toBeNull();
});

test('a subject is a delegation by its id, anything else a task', () => {
  expect(subjectOf(' deleg_01 ')).toEqual({ task: null, delegation: 'deleg_01' });
  expect(subjectOf('nightly-42')).toEqual({ task: 'nightly-42', delegation: null });
  expect(subjectOf(' ')).toEqual({ task: null, delegation: null });
});

test('a subscription is asked for with what was given and nothing else', () => {
  const empty = { chat: '', thread: '', session: '', owner: '', webhook: '', mode: '', wake: '' };
  const draft: SubscribeDraft = { ...empty, subject: 'nightly-42', platform: 'telegram' };
  expect(bodyOf(draft)).toEqual({ platform: 'telegram', task_id: 'nightly-42' });
  expect(
    bodyOf({ ...draft, chat: '7', session: 's1', mode: 'silent', wake: 'no', webhook: 'https://a.example' }),
  ).toEqual({
    platform: 'telegram',
    task_id: 'nightly-42',
    chat_id: '7',
    origin: { platform: 'telegram', session_id: 's1', chat_id: '7' },
    mode: 'silent',
    wake: false,
    webhook: { url: 'https://a.example' },
  });
});
