// What the demo is about: an atlas of lighthouses, written by three lanes. Each lighthouse is looked up, its page is built, and an editor reads
// it: three tasks, each waiting for the one before. How a task behaves stands in its payload, and is worked off in lane-workers.mjs.

const LIGHTHOUSES = [
  ['Bell Rock', 'Scotland'],
  ['Skerryvore', 'Scotland'],
  ['Eddystone', 'England'],
  ['Fastnet', 'Ireland'],
  ['Hook Head', 'Ireland'],
  ['Kullen', 'Sweden'],
  ['Rubjerg Knude', 'Denmark'],
  ['Lindesnes', 'Norway'],
  ['Roter Sand', 'Germany'],
  ['La Jument', 'France'],
  ['Cordouan', 'France'],
  ['Tower of Hercules', 'Spain'],
  ['Cabo da Roca', 'Portugal'],
  ['Lanterna', 'Italy'],
  ['Cape Hatteras', 'United States'],
  ['Cape Otway', 'Australia'],
];

/**
 * @typedef {import('lanekeeper/client').BodyOf<'createTasks'>['tasks'][number]} NewTask
 * @typedef {{ seconds: number, end: 'done' | 'fail' | 'block' | 'review', failures?: number, place: string }} Assignment
 */

/** A failure of the demo is tried again soon, so that people see it. */
const BACKOFF = { base_seconds: 4, factor: 2, cap_seconds: 20 };

/**
 * @param {string} title
 * @param {'research' | 'builder' | 'editor'} lane
 * @param {Assignment} payload
 * @param {Partial<NewTask>} [more]
 * @returns {NewTask}
 */
function assign(title, lane, payload, more = {}) {
  const labels = { place: payload.place, part: lane };
  return { title, lane, payload, labels, backoff: BACKOFF, max_failures: 3, ...more };
}

/**
 * The three tasks of one lighthouse, as entries of a batch that has `offset` before them.
 * @param {number} index which lighthouse; more than there are begin a second volume
 * @param {number} offset
 * @returns {NewTask[]}
 */
export function chapter(index, offset) {
  const [name = '', place = ''] = LIGHTHOUSES[index % LIGHTHOUSES.length] ?? [];
  const volume = Math.floor(index / LIGHTHOUSES.length) + 1;
  const about = volume === 1 ? name : `${name}, volume ${volume}`;
  const priority = index % 5 === 0 ? 5 : 0;
  const more = (/** @type {number[]} */ ...before) => ({
    priority,
    parents: before.map((entry) => `#${entry}`),
    body: `Part of the atlas of lighthouses: **${about}**, ${place}.`,
  });
  return [
    assign(`Look up ${about}`, 'research', { place, seconds: 2 + (index % 3), end: 'done' }, more()),
    assign(`Build the page of ${about}`, 'builder', buildOf(index, place), more(offset)),
    assign(`Read the page of ${about}`, 'editor', readingOf(index, place), more(offset + 1)),
  ];
}

/**
 * @param {number} index
 * @param {string} place
 * @returns {Assignment}
 */
function buildOf(index, place) {
  const seconds = 4 + (index % 4) * 2;
  if (index % 8 === 3) return { place, seconds, end: 'fail' };
  return { place, seconds, end: 'done', failures: index % 4 === 1 ? 1 : 0 };
}

/**
 * @param {number} index
 * @param {string} place
 * @returns {Assignment}
 */
function readingOf(index, place) {
  if (index % 5 === 2) return { place, seconds: 3, end: 'block' };
  return { place, seconds: 3 + (index % 3), end: index % 3 === 0 ? 'review' : 'done' };
}

/**
 * The first fifty-odd: all chapters, and some that belong to none.
 * @param {Date} now
 * @returns {NewTask[]}
 */
export function firstTasks(now) {
  const chapters = LIGHTHOUSES.flatMap((_, index) => chapter(index, 3 * index));
  const tomorrow = new Date(now.getTime() + 24 * 3_600_000).toISOString();
  return [
    ...chapters,
    assign(
      'Draw the map of all of them',
      'builder',
      { place: 'everywhere', seconds: 90, end: 'done' },
      { priority: 20 },
    ),
    assign(
      'Find out who owns the photographs',
      'research',
      { place: 'everywhere', seconds: 2, end: 'block' },
      { priority: 20 },
    ),
    assign(
      'Send the newsletter',
      'editor',
      { place: 'everywhere', seconds: 3, end: 'done' },
      { run_at: tomorrow },
    ),
    { title: 'Somebody wrote that Skerryvore is taller than we say', status: 'triage' },
    { title: 'Should lightships be in it, too?', status: 'triage' },
  ];
}

/**
 * A question to several lanes at once, whose answers come back together.
 * @param {string} question
 * @param {number} seconds
 * @returns {import('lanekeeper/client').BodyOf<'createDelegation'>}
 */
export function delegationOf(question, seconds) {
  const assignment = (/** @type {string} */ place) => ({ place, seconds, end: 'done' });
  return {
    goal: question,
    context: 'The answer goes to the reader who asked. Name your sources.',
    tasks: [
      {
        lane: 'research',
        title: 'What the archives say',
        goal: question,
        payload: assignment('archives'),
        priority: 50,
      },
      {
        lane: 'research',
        title: 'What the keepers wrote',
        goal: question,
        payload: assignment('diaries'),
        priority: 50,
      },
      {
        lane: 'builder',
        title: 'A chart of the heights',
        goal: question,
        payload: assignment('charts'),
        priority: 50,
      },
    ],
    origin: { platform: 'chat', chat_id: 'readers', session_id: 'chat/readers' },
    subscribe: { platform: 'chat', chat_id: 'readers', owner: 'gateway', mode: 'direct' },
  };
}
