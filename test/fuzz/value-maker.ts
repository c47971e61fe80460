/**
 * Values that a schema of the document allows, of real names wherever there are some; and those with one thing wrong. Written for the
 * keywords that our document uses: a pattern that it does not know fails loudly, since it cannot be run backwards.
 */
import { type Node, resolve } from './api-document.ts';
import { HOSTILE_VALUES, UNUSUAL_TEXTS } from './hostile-values.ts';
import type { KnownNames } from './known-names.ts';
import type { Random } from './random.ts';

const STRANGER = '01jcqk0v3te8sr3x6y9m2b4n5p';

/** What a value without a pool is made as, by pattern. */
const OF_PATTERN: Readonly<Record<string, readonly string[]>> = {
  '\\S': ['go on', '  x', 'é'],
  '^[a-z0-9][a-z0-9._-]{0,63}$': ['alpha', 'beta', '0', 'a.b_c-d', 'x'.repeat(64)],
  '^#(0|[1-9][0-9]{0,2})$': ['#0', '#1', '#7', '#999'],
  '^(?!task_)(?!\\.{1,2}$)[^\\s/?#%\\\\]+$': [
    'PROJ-12',
    'a',
    'é',
    '日本',
    '-',
    '...',
    'x'.repeat(255),
    'a"b',
    'a&b',
  ],
  '^(?:-|[a-z0-9][a-z0-9._-]{0,63})(?:,(?:-|[a-z0-9][a-z0-9._-]{0,63})){0,49}$': [
    '-',
    'alpha',
    'alpha,-,beta',
  ],
  '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$': [`whsec_${'A'.repeat(32)}`, `whsec_${'b9+/'.repeat(10)}`],
  '^[\\x21-\\x7e](?:[\\x20-\\x7e]*[\\x21-\\x7e])?$': ['worker-1', 'w', 'a b', '~!@', 'w'.repeat(128)],
};
const TYPE_ID_PATTERN = /^\^([a-z]+)_\[0-7\]\[0-9a-hjkmnp-tv-z\]\{25\}\$$/;

/** Fields that take a name of which there is a pool, though their schema does not say so. */
const KIND_OF_FIELD: Readonly<Record<string, string>> = {
  task_id: 'TaskId',
  parent: 'TaskId',
  delegation: 'DelegationId',
  after: 'Cursor',
  before: 'Cursor',
  lease_id: 'lease_id',
  session: 'session_id',
  session_id: 'session_id',
  token: 'token',
};

/** Comma-separated lists, whose words the schema does not tell. */
const WORDS_OF_FIELD: Readonly<Record<string, readonly string[]>> = {
  status: [
    'ready',
    'running',
    'blocked',
    'done',
    'ready,running',
    'pending',
    'delivered',
    'running,completed',
    'dead',
  ],
  lane: ['alpha', 'beta', 'alpha,beta', '-'],
  lanes: ['alpha', 'beta', 'alpha,beta'],
  label: ['team:core', 'team:core,x:y', 'team:'],
  kinds: ['task.*', 'task.created', 'task.created,task.completed', 'lane.*', '*'],
  boards: ['*'],
};

/** No name server has an answer for it: what the server would post, it posts to nobody. */
const URLS = [
  'https://hook.invalid/in',
  'https://hook.invalid:8443/a?b=c',
  'https://10.0.0.1/',
  'http://hook.invalid/',
];

interface ValueContext {
  readonly root: Node;
  readonly random: Random;
  readonly names: KnownNames;
  /** Of boards that the callers of this stream may mostly not see. */
  readonly foreign: KnownNames;
}

export class ValueMaker {
  readonly #context: ValueContext;
  /** Since it was last set to false: something of another stream's is in what was made. */
  isForeign = false;

  constructor(context: ValueContext) {
    this.#context = context;
  }

  /** A value that the schema allows. `field` is the name it goes by. */
  valid(schema: Node, field: string, depth = 0): unknown {
    const { random, root } = this.#context;
    const { $ref } = schema;
    if (typeof $ref === 'string') {
      const kind = $ref.replace(/.*\//, '');
      if (kind === 'Timestamp') return this.#time();
      if (kind === 'JsonValue') return this.#json(depth);
      if (kind === 'Metadata') return { note: this.#json(depth + 1) };
      if (kind === 'Labels') return random.pick([{}, { team: 'core' }, { é: '', x: 'y' }]);
      const known = this.#known(
        kind === 'TaskReference' ? random.pick(['TaskId', 'TaskId', 'ExternalRef']) : kind,
      );
      return known ?? this.valid(resolve(root, schema), field, depth);
    }
    if ('const' in schema) return schema['const'];
    if (Array.isArray(schema['enum'])) return random.pick(schema['enum']);
    const choices = schema['oneOf'] ?? schema['anyOf'];
    if (Array.isArray(choices)) return this.#ofChoices(choices as Node[], field, depth);
    return this.#ofType(schema, field, depth);
  }

  /** A value with something wrong at one place, or now and then with nothing wrong but its strangeness. */
  spoiled(value: unknown): unknown {
    const { random } = this.#context;
    if (typeof value !== 'object' || value === null || random.chance(0.15)) return this.hostile();
    if (Array.isArray(value)) {
      if (value.length === 0 || random.chance(0.3)) return [...value, this.hostile()];
      const at = random.whole(0, value.length - 1);
      return value.map((entry, index) => (index === at ? this.spoiled(entry) : entry));
    }
    const fields = Object.keys(value);
    const field = fields.length === 0 ? 'unknown' : random.pick(fields);
    const { [field]: present, ...rest } = value as Record<string, unknown>;
    switch (random.whole(0, 4)) {
      case 0:
        return rest;
      case 1:
        return {
          ...value,
          [random.pick(['unknown', '', 'Title', 'id', 'version', 'toString'])]: this.hostile(),
        };
      case 2:
        return { ...value, [field]: this.hostile() };
      case 3:
        return {
          ...value,
          [field]: typeof present === 'number' ? present * random.pick([-1, 1e9, 0.5]) : [present],
        };
      default:
        return { ...value, [field]: this.spoiled(present) };
    }
  }

  hostile(): unknown {
    return this.#context.random.pick(HOSTILE_VALUES);
  }

  #ofChoices(choices: readonly Node[], field: string, depth: number): unknown {
    const { random } = this.#context;
    const some = choices.filter((choice) => choice['type'] !== 'null');
    const hasNull = some.length < choices.length;
    return hasNull && random.chance(0.12) ? null : this.valid(random.pick(some), field, depth);
  }

  #ofType(schema: Node, field: string, depth: number): unknown {
    const { random } = this.#context;
    const types = Array.isArray(schema['type']) ? (schema['type'] as string[]) : [schema['type']];
    if (types.includes('null') && random.chance(0.12)) return null;
    switch (types.find((type) => type !== 'null')) {
      case 'object':
        return this.#object(schema, depth);
      case 'array':
        return this.#array(schema, field, depth);
      case 'string':
        return this.#text(schema, field);
      case 'integer':
        return this.#number(schema, true);
      case 'number':
        return this.#number(schema, false);
      case 'boolean':
        return random.chance(0.5);
      default:
        return this.#json(depth);
    }
  }

  #object(schema: Node, depth: number): unknown {
    const { random } = this.#context;
    const required = (schema['required'] ?? []) as string[];
    const made: Record<string, unknown> = {};
    for (const [name, field] of Object.entries((schema['properties'] ?? {}) as Record<string, Node>)) {
      if (required.includes(name) || random.chance(depth === 0 ? 0.3 : 0.2))
        made[name] = this.valid(field, name, depth + 1);
    }
    return made;
  }

  #array(schema: Node, field: string, depth: number): unknown[] {
    const { random } = this.#context;
    const least = Number(schema['minItems'] ?? 0);
    const most = Math.min(Number(schema['maxItems'] ?? 4), depth > 2 ? 1 : random.pick([1, 2, 2, 4]));
    const length = random.whole(least, Math.max(least, most));
    const items = (schema['items'] ?? {}) as Node;
    return Array.from({ length }, () => this.valid(items, field.replace(/s$/, ''), depth + 1));
  }

  #text(schema: Node, field: string): string {
    const { random } = this.#context;
    if (schema['format'] === 'uri') return random.pick(URLS);
    if (schema['format'] === 'date-time') return this.#time();
    if (typeof schema['pattern'] === 'string') return this.#ofPattern(schema['pattern']);
    const words = WORDS_OF_FIELD[field];
    const known = this.#known(KIND_OF_FIELD[field] ?? field);
    if (known !== null) return known;
    if (words !== undefined && random.chance(0.8)) return random.pick(words);
    const least = Number(schema['minLength'] ?? 0);
    const most = Number(schema['maxLength'] ?? 64);
    if (random.chance(0.04)) return 'm'.repeat(Math.min(most, 2000));
    if (random.chance(0.04)) return 'm'.repeat(least);
    const text = random.pick(UNUSUAL_TEXTS);
    return [...text].slice(0, Math.max(1, most)).join('').padEnd(least, '-');
  }

  #ofPattern(pattern: string): string {
    const prefix = TYPE_ID_PATTERN.exec(pattern)?.[1];
    if (prefix !== undefined) return `${prefix}_${STRANGER}`;
    const made = OF_PATTERN[pattern];
    if (made === undefined)
      throw new Error(`no text is known for the pattern ${pattern}: add one to OF_PATTERN`);
    return this.#context.random.pick(made);
  }

  #known(kind: string): string | null {
    const { random, names, foreign } = this.#context;
    if (random.chance(0.06)) {
      const name = foreign.pick(kind, random);
      this.isForeign ||= name !== null;
      return name;
    }
    return random.chance(0.06) ? null : names.pick(kind, random);
  }

  #number(schema: Node, isWhole: boolean): number {
    const { random } = this.#context;
    const low = Number(schema['minimum'] ?? -1000);
    const high = Number(schema['maximum'] ?? 1_000_000);
    const near = random.whole(Math.ceil(low), Math.floor(Math.min(high, low + 100)));
    const made = random.pick([low, high, near, near, near, random.whole(Math.ceil(low), Math.floor(high))]);
    return isWhole ? Math.trunc(made) : made + random.pick([0, 0, 0.5]) * (made < high ? 1 : 0);
  }

  #time(): string {
    const { random } = this.#context;
    const at = new Date(Date.now() + random.whole(-100_000, 100_000) * 1000).toISOString();
    const fixed = [
      '2030-01-01T00:00:00Z',
      '2026-01-01T00:00:00.123456789+05:30',
      '1970-01-02T00:00:00Z',
      '9999-12-30T00:00:00Z',
    ];
    return random.pick([at, at, at.replace('Z', '+00:00'), ...fixed]);
  }

  #json(depth: number): unknown {
    const { random } = this.#context;
    if (depth > 3 || random.chance(0.5)) {
      return random.pick([null, true, 0, -1.5, 1e300, '', ...UNUSUAL_TEXTS.slice(0, 6), [], {}]);
    }
    const inner = this.#json(depth + 1);
    return random.pick([[inner], { a: inner }, { ключ: inner, '': 0 }, [inner, inner]]);
  }
}
