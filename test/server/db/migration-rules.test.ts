/** Every migration leaves the schema one that the release before can work on, and takes no lock for longer than a moment. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readMigrations } from '../../../src/server/db/migration/files.ts';
import { brokenRules, type MigrationText } from './migration-rules.ts';

const FOLDER = join(import.meta.dirname, '../../../drizzle');
/** Before anybody could upgrade without a stop. */
const LAST_UNRULED = '0009_dashboard';
const WHAT_TO_DO =
  'See "The schema" in CONTRIBUTING.md: what servers of the release before use stays until the release after.';

async function readTexts(): Promise<MigrationText[]> {
  const migrations = await readMigrations(FOLDER);
  return Promise.all(
    migrations.map(async ({ tag }) => ({ tag, text: await readFile(join(FOLDER, `${tag}.sql`), 'utf8') })),
  );
}

describe('the migrations', () => {
  test('keep the rules', async () => {
    const texts = await readTexts();
    const first = texts.findIndex(({ tag }) => tag === LAST_UNRULED) + 1;
    expect(first).toBeGreaterThan(0);
    const offences = texts
      .slice(first)
      .flatMap((text, index) =>
        brokenRules(text, texts.slice(0, first + index)).map((offence) => `${text.tag}: ${offence}`),
      );
    expect(offences, WHAT_TO_DO).toEqual([]);
  });

  test('are numbered without a gap, and each is newer than the one before', async () => {
    const migrations = await readMigrations(FOLDER);
    const numbers = migrations.map(({ tag }) => Number(tag.slice(0, 4)));
    expect(numbers).toEqual(migrations.map((_, index) => index));
    const times = migrations.map(({ createdAt }) => createdAt);
    // The migrator of earlier releases looks at the newest only.
    expect(times).toEqual([...new Set(times)].toSorted((one, other) => one - other));
  });
});

describe('the rules', () => {
  const EARLIER: MigrationText[] = [
    {
      tag: '0001_expand',
      text: 'CREATE TABLE "tasks" ("id" uuid);\n--> statement-breakpoint\nALTER TABLE "tasks" ADD COLUMN "b" text;',
    },
    {
      tag: '0002_check',
      text: 'ALTER TABLE "tasks" ADD CONSTRAINT "b_known" CHECK ("tasks"."b" IS NOT NULL) NOT VALID;',
    },
    { tag: '0003_validate', text: 'ALTER TABLE "tasks" VALIDATE CONSTRAINT "b_known";' },
  ];
  const offencesOf = (text: string): string[] => brokenRules({ tag: '0010_change', text }, EARLIER);

  test.each([
    ['a dropped table', 'DROP TABLE "tasks";'],
    ['a dropped column', 'ALTER TABLE "tasks" DROP COLUMN "b";'],
    ['a dropped column, without the word', 'ALTER TABLE "tasks" DROP "b";'],
    ['a renamed column', 'ALTER TABLE "tasks" RENAME COLUMN "b" TO "c";'],
    ['a renamed table', 'ALTER TABLE "tasks" RENAME TO "jobs";'],
    [
      'a contract step of nothing',
      '-- lanekeeper: contract step of 0007\nALTER TABLE "tasks" DROP COLUMN "b";',
    ],
    [
      'a contract step of itself',
      '-- lanekeeper: contract step of 0010\nALTER TABLE "tasks" DROP COLUMN "b";',
    ],
    ['a required column without a default', 'ALTER TABLE "tasks" ADD COLUMN "c" text NOT NULL;'],
    ['a default for each row', 'ALTER TABLE "tasks" ADD COLUMN "c" uuid DEFAULT gen_random_uuid() NOT NULL;'],
    ['a column that counts', 'ALTER TABLE "tasks" ADD COLUMN "c" bigserial;'],
    [
      'a generated column',
      'ALTER TABLE "tasks" ADD COLUMN "c" text GENERATED ALWAYS AS (lower("b")) STORED;',
    ],
    ['an inline check', `ALTER TABLE "tasks" ADD COLUMN "c" integer DEFAULT 0 CHECK ("c" >= 0);`],
    [
      'the second of two changes',
      'ALTER TABLE "tasks" ADD COLUMN "c" text, ADD COLUMN "d" integer NOT NULL;',
    ],
    ['NOT NULL that nothing has checked', 'ALTER TABLE "tasks" ALTER COLUMN "c" SET NOT NULL;'],
    ['another type', 'ALTER TABLE "tasks" ALTER COLUMN "b" SET DATA TYPE integer USING "b"::integer;'],
    ['an index that writes wait for', 'CREATE INDEX "tasks_b" ON "tasks" USING btree ("b");'],
    ['a unique index that writes wait for', 'CREATE UNIQUE INDEX "tasks_b" ON "tasks" ("b");'],
    [
      'an index beside the traffic in a transaction',
      'CREATE INDEX CONCURRENTLY IF NOT EXISTS "i" ON "tasks" ("b");',
    ],
    [
      'an index that cannot be tried again',
      '-- lanekeeper: outside a transaction\nCREATE INDEX CONCURRENTLY "i" ON "tasks" ("b");',
    ],
    [
      'two statements outside a transaction',
      '-- lanekeeper: outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS "i" ON "tasks" ("b");--> statement-breakpoint\nDROP INDEX CONCURRENTLY IF EXISTS "j";',
    ],
    [
      'anything else outside a transaction',
      '-- lanekeeper: outside a transaction\nALTER TABLE "tasks" ADD COLUMN "c" text;',
    ],
    ['a dropped index that everybody waits for', 'DROP INDEX "tasks_b";'],
    ['a check of all rows', 'ALTER TABLE "tasks" ADD CONSTRAINT "c" CHECK ("b" <> \'\');'],
    [
      'a foreign key of all rows',
      'ALTER TABLE "tasks" ADD CONSTRAINT "c" FOREIGN KEY ("id") REFERENCES "boards" ("id");',
    ],
    ['a unique constraint', 'ALTER TABLE "tasks" ADD CONSTRAINT "c" UNIQUE ("b");'],
    ['a change of all rows', `UPDATE "tasks" SET "b" = 'x';`],
    ['a lock', 'LOCK TABLE "tasks";'],
  ])('find %s', (_, text) => {
    expect(offencesOf(text)).toHaveLength(1);
  });

  test.each([
    [
      'a new table with its indexes',
      'CREATE TABLE "x" ("id" uuid);\n--> statement-breakpoint\nCREATE INDEX "i" ON "x" ("id");',
    ],
    ['an empty column', 'ALTER TABLE "tasks" ADD COLUMN "c" text;'],
    ['a column with a constant', `ALTER TABLE "tasks" ADD COLUMN "c" jsonb DEFAULT '{}'::jsonb NOT NULL;`],
    [
      'a column with the time',
      'ALTER TABLE "tasks" ADD COLUMN "c" timestamp with time zone DEFAULT now() NOT NULL;',
    ],
    ['an index of a small table', 'CREATE INDEX "i" ON "lanes" ("name");'],
    [
      'an index beside the traffic',
      '-- lanekeeper: outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS "i" ON "tasks" ("b");',
    ],
    ['a constraint for what is new', 'ALTER TABLE "tasks" ADD CONSTRAINT "c" CHECK ("b" <> \'\') NOT VALID;'],
    ['NOT NULL that was checked', 'ALTER TABLE "tasks" ALTER COLUMN "b" SET NOT NULL;'],
    ['a contract step', '-- lanekeeper: contract step of 0001\nALTER TABLE "tasks" DROP COLUMN "b";'],
    ['storage parameters', 'ALTER TABLE "tasks" SET (fillfactor = 60);'],
    ['a constraint less', 'ALTER TABLE "tasks" DROP CONSTRAINT "b_known";'],
  ])('allow %s', (_, text) => {
    expect(offencesOf(text)).toEqual([]);
  });
});
