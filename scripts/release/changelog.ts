/** CHANGELOG.md as data: which versions there are, and what is said of each under which heading. */

/** In the order in which they stand in a section. Of Keep a Changelog, with two of our own: Wire and Upgrading. */
export const HEADINGS = [
  'Added',
  'Changed',
  'Deprecated',
  'Removed',
  'Wire',
  'Upgrading',
  'Fixed',
  'Security',
] as const;
export type Heading = (typeof HEADINGS)[number];

export interface Section {
  /** Null: not released yet. */
  readonly version: string | null;
  /** Of the release, as YYYY-MM-DD. */
  readonly date: string | null;
  /** One text for each entry of a list, or for each paragraph. */
  readonly entries: ReadonlyMap<Heading, readonly string[]>;
}

const SECTION_LINE = /^## \[(Unreleased|\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)\](?: - (\d{4}-\d{2}-\d{2}))?$/;

class ChangelogError extends Error {}

/** The newest section first. Throws a ChangelogError that names the line where the document breaks its rules. */
export function readChangelog(document: string): readonly Section[] {
  const reader = new ChangelogReader();
  for (const line of document.split('\n')) reader.read(line);
  return reader.sections;
}

class ChangelogReader {
  readonly sections: { version: string | null; date: string | null; entries: Map<Heading, string[]> }[] = [];
  #line = 0;
  /** Of the heading that was read last; null between a version and its first heading. */
  #entries: string[] | null = null;
  /** The line before belongs to an entry, which goes on until an empty line or the next bullet. */
  #isWithinEntry = false;

  read(line: string): void {
    this.#line += 1;
    const wasWithinEntry = this.#isWithinEntry;
    this.#isWithinEntry = false;
    if (line.startsWith('## ')) this.#readVersion(line);
    else if (line.startsWith('### ')) this.#readHeading(line);
    else if (line.trim() !== '' && this.sections.length > 0) this.#readText(line, wasWithinEntry);
  }

  #readVersion(line: string): void {
    const match = SECTION_LINE.exec(line);
    if (match === null) throw this.#fault(`"${line}" is no heading of a version`);
    const [, name, date = null] = match;
    const version = name === undefined || name === 'Unreleased' ? null : name;
    if ((version === null) !== (date === null))
      throw this.#fault('a version has a date, and what is unreleased has none');
    if (version === null && this.sections.length > 0) throw this.#fault('what is unreleased stands first');
    this.sections.push({ version, date, entries: new Map() });
    this.#entries = null;
  }

  #readHeading(line: string): void {
    const section = this.sections.at(-1);
    const heading = HEADINGS.find((known) => line === `### ${known}`);
    if (heading === undefined) throw this.#fault(`"${line}" is none of ${HEADINGS.join(', ')}`);
    if (section === undefined) throw this.#fault('a heading stands below a version');
    const later = HEADINGS.slice(HEADINGS.indexOf(heading)).find((known) => section.entries.has(known));
    if (later !== undefined) throw this.#fault(`${heading} stands once, and not after ${later}`);
    this.#entries = [];
    section.entries.set(heading, this.#entries);
  }

  #readText(line: string, isContinued: boolean): void {
    if (this.#entries === null) throw this.#fault('a text stands below one of the headings');
    if (isContinued && !line.startsWith('- '))
      this.#entries.push(`${this.#entries.pop() ?? ''} ${line.trim()}`);
    else this.#entries.push(line.replace(/^- /, '').trim());
    this.#isWithinEntry = true;
  }

  #fault(why: string): ChangelogError {
    return new ChangelogError(`CHANGELOG.md:${this.#line}: ${why}`);
  }
}
