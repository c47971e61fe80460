// `npm run licenses`: writes THIRD_PARTY_LICENSES.txt, and fails where a licence is not on the list of those that we take.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findObjections, renderLicences } from './licences/document.ts';
import { listBundled, listInstalled } from './licences/packages.ts';

const root = join(import.meta.dirname, '..');
const parties = { bundled: await listBundled(root), installed: listInstalled(root) };
for (const objection of findObjections(parties)) {
  console.error(objection);
  process.exitCode = 1;
}
writeFileSync(join(root, 'THIRD_PARTY_LICENSES.txt'), renderLicences(parties));
console.log(
  `THIRD_PARTY_LICENSES.txt: ${parties.bundled.length} packages inside, ${parties.installed.length} beside it`,
);
