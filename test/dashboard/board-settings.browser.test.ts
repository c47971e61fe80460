/** The settings of a board in a real browser: what is shown and sent of them, what is asked before history goes, and what others do meanwhile. */
import type { Locator, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { SETTINGS, valueIn } from '../../src/dashboard/board/settings/settings.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';
import type { DashboardBoard } from './fixtures/dashboard-board.ts';

const dashboard = useDashboard();

const DAY = 86_400;
const LEAVING = 'Leave without saving?';
const DELETING = 'Delete older history for good?';
/** Chromium reports a request that is refused, even one that is meant to. */
const REFUSED = /status of (400|409|412)/;

const ofSettings = (page: Page, board: DashboardBoard) =>
  page.getByRole('dialog', { name: `Settings of ${board.name}` });
const question = (page: Page, name: string) => page.getByRole('dialog', { name });
const at = (dialog: Locator, label: string) => dialog.getByLabel(label, { exact: true });
const unitOf = (dialog: Locator, label: string) => at(dialog, `Unit of ${label}`);
const save = (dialog: Locator) => dialog.getByRole('button', { name: 'Save', exact: true }).click();
const isGone = (dialog: Locator) => dialog.waitFor({ state: 'detached' });
const hasFocus = (field: Locator) => field.evaluate((element) => element === document.activeElement);

async function read(board: DashboardBoard) {
  return (await board.client.boards.get(board.name)).board;
}

const live = (page: Page) => page.locator('[data-connection="live"]').waitFor();

/** Once the page hears of what others do, unless it is paused. */
async function openSettings(page: Page, board: DashboardBoard): Promise<Locator> {
  await page.locator('[data-connection="live"], [data-connection="paused"]').waitFor();
  await page.getByRole('button', { name: 'Settings', exact: true }).click();
  const dialog = ofSettings(page, board);
  await at(dialog, 'Title').waitFor();
  return dialog;
}

test('every setting is there as it is by default; what was changed is sent, and only that', async () => {
  const board = await dashboard.board();
  await board.lane('writer');
  const fresh = await read(board);
  for (const setting of SETTINGS) expect(valueIn(fresh, setting), setting.pointer).toEqual(setting.initial);
  const page = await dashboard.open(board.path());
  const dialog = await openSettings(page, board);
  for (const { label } of SETTINGS) await at(dialog, label).waitFor();
  expect(await at(dialog, 'Keep events').inputValue()).toBe('');
  expect(await at(dialog, 'Keep events').getAttribute('placeholder')).toBe('for ever');
  expect(await at(dialog, 'Stranded after').inputValue()).toBe('5');
  expect(await unitOf(dialog, 'Stranded after').inputValue()).toBe('minutes');
  await dialog.getByText('5 minutes = 300 s').waitFor();
  await dialog.getByText('Nothing is changed yet.').waitFor();
  await expectAccessible(page, 'the settings of a board');

  await at(dialog, 'Title').fill('The factory');
  await at(dialog, 'Stranded after').fill('2');
  await unitOf(dialog, 'Stranded after').selectOption('hours');
  await at(dialog, 'Delegations at once').fill('5');
  await at(dialog, 'Lane that writes replies').fill('writer');
  await at(dialog, 'Platforms that get a reply').fill('telegram\ndiscord');
  // Changed, and changed back.
  await at(dialog, 'Paused').check();
  await at(dialog, 'Paused').uncheck();
  await dialog.getByText('2 hours = 7,200 s, instead of 5 minutes').waitFor();
  const patched = page.waitForRequest((request) => request.method() === 'PATCH');
  await save(dialog);
  const settings = {
    stranded_after_seconds: 7200,
    delegation_capacity: 5,
    synthesizer_lane: 'writer',
    synthesize_platforms: ['telegram', 'discord'],
  };
  expect((await patched).postDataJSON()).toEqual({ title: 'The factory', settings });
  await isGone(dialog);
  await page.getByRole('heading', { name: 'The factory', level: 1 }).waitFor();
  await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('Settings');
  expect(new URL(page.url()).search).toBe('');
  expect(await read(board)).toMatchObject({ title: 'The factory', settings });
});

test('a shorter time to keep is asked about, with what it deletes; a longer one and for ever are not', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path());
  const dialog = await openSettings(page, board);
  await at(dialog, 'Keep events').fill('30');
  await at(dialog, 'Keep output').fill('12');
  await unitOf(dialog, 'Keep output').selectOption('hours');
  await expect.poll(() => dialog.getByText('What is older is deleted for good.').count()).toBe(2);
  await save(dialog);
  const asked = question(page, DELETING);
  await asked.getByText('events of the log: what is older than 30 days (kept until now: for ever)').waitFor();
  await asked.getByText('output of tasks that nobody holds: what is older than 12 hours').waitFor();
  await expectAccessible(page, 'the question before history goes');
  await asked.getByRole('button', { name: 'Keep as it is' }).click();
  await isGone(asked);
  expect((await read(board)).version).toBe(1);
  expect(await at(dialog, 'Keep events').inputValue()).toBe('30');
  await save(dialog);
  await asked.getByRole('button', { name: 'Save and delete' }).click();
  await isGone(dialog);
  const { retention } = (await read(board)).settings;
  expect(retention).toMatchObject({ events_seconds: 30 * DAY, output_seconds: DAY / 2, runs_seconds: null });

  await openSettings(page, board);
  expect(await at(dialog, 'Keep events').inputValue()).toBe('30');
  await at(dialog, 'Keep events').fill('');
  await at(dialog, 'Keep output').fill('2');
  await unitOf(dialog, 'Keep output').selectOption('days');
  await save(dialog);
  await isGone(dialog);
  const later = (await read(board)).settings.retention;
  expect(later).toMatchObject({ events_seconds: null, output_seconds: 2 * DAY });
});

test('what is no value, and what the server refuses, is said at its field; nothing that was entered is lost', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path(), { allow: [REFUSED] });
  const dialog = await openSettings(page, board);
  const events = at(dialog, 'Keep events');
  const lane = at(dialog, 'Lane that writes replies');
  await at(dialog, 'Title').fill('New title');
  await events.fill('1.5');
  await save(dialog);
  await dialog.getByText('This must be a whole number').waitFor();
  expect(await events.getAttribute('aria-invalid')).toBe('true');
  await expect.poll(() => hasFocus(events)).toBe(true);
  await expectAccessible(page, 'settings with a problem');
  await events.fill('');
  await lane.fill('No Such Lane');
  await save(dialog);
  const problem = dialog.getByRole('alert');
  await problem.filter({ hasText: 'must match' }).waitFor();
  expect(await problem.count()).toBe(1);
  expect(await lane.getAttribute('aria-describedby')).toContain(await problem.getAttribute('id'));
  await expect.poll(() => hasFocus(lane)).toBe(true);
  expect(await at(dialog, 'Title').inputValue()).toBe('New title');
  expect((await read(board)).version).toBe(1);
  await lane.fill('writer');
  await problem.waitFor({ state: 'detached' });
  await save(dialog);
  await isGone(dialog);
  expect(await read(board)).toMatchObject({ title: 'New title', settings: { synthesizer_lane: 'writer' } });
});

test('what somebody else changes meanwhile is shown at once, and nothing of it is overwritten unseen', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path());
  const dialog = await openSettings(page, board);
  await at(dialog, 'Title').fill('mine');
  await at(dialog, 'Owner of deliveries').fill('my-gateway');
  await board.client.boards.patch(board.name, {
    title: 'theirs',
    description: 'of both',
    settings: { delegation_capacity: 7, default_owner: 'their-gateway' },
  });
  const told = dialog.getByRole('status');
  await told.getByText('Title, Description, Delegations at once, Owner of deliveries').waitFor();
  expect(await at(dialog, 'Delegations at once').inputValue()).toBe('7');
  expect(await at(dialog, 'Description').inputValue()).toBe('of both');
  expect(await at(dialog, 'Title').inputValue()).toBe('mine');
  await dialog.getByText('Somebody else has set this to: theirs', { exact: true }).waitFor();
  await expectAccessible(page, 'settings that two have changed');
  // Nothing is sent: both wait for a choice.
  await save(dialog);
  await expect.poll(() => dialog.getByText('Choose which of the two is to stand.').count()).toBe(2);
  await dialog.getByRole('button', { name: 'Keep mine' }).first().click();
  await expect.poll(() => hasFocus(at(dialog, 'Title'))).toBe(true);
  await dialog.getByRole('button', { name: 'Use theirs' }).click();
  expect(await at(dialog, 'Owner of deliveries').inputValue()).toBe('their-gateway');
  await save(dialog);
  await isGone(dialog);
  expect(await read(board)).toMatchObject({
    title: 'mine',
    description: 'of both',
    settings: { delegation_capacity: 7, default_owner: 'their-gateway' },
  });
});

test('who has not heard of a change, because updates are paused, is refused and shown it first', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path(), { allow: [REFUSED] });
  await live(page);
  await page.keyboard.press('p');
  await page.locator('[data-connection="paused"]').waitFor();
  const dialog = await openSettings(page, board);
  await at(dialog, 'Title').fill('mine');
  await board.client.boards.patch(board.name, { description: 'theirs' });
  await save(dialog);
  await dialog.getByText('The board has changed since you saw it: this was not saved.').waitFor();
  await expect.poll(() => at(dialog, 'Description').inputValue()).toBe('theirs');
  expect(await at(dialog, 'Title').inputValue()).toBe('mine');
  expect((await read(board)).title).toBeNull();
  await save(dialog);
  await isGone(dialog);
  expect(await read(board)).toMatchObject({ title: 'mine', description: 'theirs' });
});

test('the keyboard opens and leaves it; escape, however often, loses nothing that was entered', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path());
  await live(page);
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).getByText('Settings of the board').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press(',');
  const dialog = ofSettings(page, board);
  await at(dialog, 'Title').waitFor();
  expect(new URL(page.url()).search).toBe('?settings=open');
  await page.keyboard.press('Escape');
  await isGone(dialog);
  await page.keyboard.press(',');
  await at(dialog, 'Title').fill('mine');
  const asked = question(page, LEAVING);
  // The browser itself closes a dialog at the second escape in a row, whatever the page says to it.
  for (let times = 0; times < 4; times += 1) {
    await page.keyboard.press('Escape');
    await asked.getByText('What you have entered is lost: Title.').waitFor();
    await page.keyboard.press('Escape');
    await isGone(asked);
    expect(await at(dialog, 'Title').isVisible()).toBe(true);
  }
  expect(await at(dialog, 'Title').inputValue()).toBe('mine');
  await dialog.getByRole('button', { name: 'Keep as it is' }).click();
  await expectAccessible(page, 'the question before leaving');
  await asked.getByRole('button', { name: 'Leave' }).click();
  await isGone(dialog);
  expect(new URL(page.url()).search).toBe('');
  expect((await read(board)).version).toBe(1);
});

test('it stands in the address, is reached from any page, and keeps the filter of the board', async () => {
  const board = await dashboard.board();
  await board.task(null, { title: 'A task' });
  const page = await dashboard.open(`${board.path()}?q=lane%3Aweb`);
  await live(page);
  await page.getByRole('link', { name: /^Lanes/ }).click();
  await page.getByRole('button', { name: 'Boards' }).click();
  await page.getByRole('menuitem', { name: 'Board settings …' }).click();
  const dialog = ofSettings(page, board);
  await at(dialog, 'Title').waitFor();
  await page.reload();
  await at(dialog, 'Title').waitFor();
  await page.keyboard.press('Escape');
  await isGone(dialog);
  const { pathname, searchParams } = new URL(page.url());
  expect([pathname, [...searchParams]]).toEqual([board.path(), [['q', 'lane:web']]]);
});

test('while it is saved nothing is entered that would be lost, and who has gone elsewhere stays there', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path('/lanes'));
  await live(page);
  let answer = (): void => undefined;
  const isAnswered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await page.route(`**/v1/boards/${board.name}`, async (route) => {
    if (route.request().method() === 'PATCH') await isAnswered;
    await route.continue();
  });
  await page.getByRole('button', { name: 'Boards' }).click();
  await page.getByRole('menuitem', { name: 'Board settings …' }).click();
  const dialog = ofSettings(page, board);
  await at(dialog, 'Title').fill('mine');
  await save(dialog);
  const saving = dialog.getByRole('button', { name: 'Saving …' });
  await saving.waitFor();
  await expect.poll(() => hasFocus(saving)).toBe(true);
  await at(dialog, 'Title').fill('too late');
  expect(await at(dialog, 'Title').inputValue()).toBe('mine');
  await page.goBack();
  await isGone(dialog);
  answer();
  await page.getByText('Saved: Title').waitFor();
  expect(new URL(page.url()).pathname).toBe(board.path('/lanes'));
  expect((await read(board)).title).toBe('mine');
});

test('who may not change the board sees what is set, live, and has nothing to change it with', async () => {
  const board = await dashboard.board();
  for (const role of ['orchestrator', 'observer'] as const) {
    const key = await dashboard.key(role, [board.name]);
    const page = await dashboard.open(`${board.path()}?settings=open`, { key });
    const dialog = ofSettings(page, board);
    await dialog.getByText('Only admins change them.').waitFor();
    await dialog.getByText('Keep finished tasks').waitFor();
    await live(page);
    const seconds = role === 'observer' ? 30 * DAY : 7 * DAY;
    await board.client.boards.patch(board.name, { settings: { retention: { runs_seconds: seconds } } });
    await dialog.getByText(role === 'observer' ? '30 days' : '7 days', { exact: true }).waitFor();
    expect(await dialog.locator('input, textarea, select').count()).toBe(0);
    expect(await dialog.getByRole('button').allInnerTexts()).toEqual(['Close']);
    await expectAccessible(page, `settings for an ${role}`);
  }
});

test('on a phone and in the dark all of it is in sight, and accessible', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(`${board.path()}?settings=open`, { phone: true, theme: 'dark' });
  const dialog = ofSettings(page, board);
  await at(dialog, 'Title').fill('a title that is longer than a phone is wide, by far');
  await at(dialog, 'Keep runs').fill('12');
  await live(page);
  await board.client.boards.patch(board.name, {
    title: 'another-one-without-any-space-in-it-to-break-a-line-at',
  });
  await dialog.getByText('Somebody else has set this to').waitFor();
  await expectAccessible(page, 'settings on a phone');
  await expectNoSidewaysScroll(page);
  const tooWide = await dialog.evaluate((element) => element.scrollWidth - element.clientWidth);
  expect(tooWide).toBe(0);
  await dialog.getByRole('button', { name: 'Use theirs' }).click();
  await save(dialog);
  await question(page, DELETING).getByRole('button', { name: 'Save and delete' }).click();
  await isGone(dialog);
  expect((await read(board)).settings.retention.runs_seconds).toBe(12 * DAY);
});
