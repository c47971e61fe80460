/**
 * JSON Schemas of tools, made of the contract's zod schemas once, when the server starts. References are written out and nulls left out:
 * a client that ignores `$ref` would show its model an empty field, and that null means absent is no news for a model.
 */
import { z } from 'zod';

export interface JsonSchema {
  readonly type: 'object';
  readonly [keyword: string]: unknown;
}

type Node = Readonly<Record<string, unknown>>;

export function jsonSchemaOf(schema: z.ZodObject, io: 'input' | 'output'): JsonSchema {
  const { $defs, $schema: _dialect, ...root } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  const writeOut = new WritingOut(isNode($defs) ? $defs : {}, io === 'input');
  return { ...writeOut.node(root), type: 'object' };
}

/** Schemas of tools nest a few levels and never refer to themselves. */
class WritingOut {
  readonly #definitions: Node;
  /** In an answer null says something. */
  readonly #isNullLeftOut: boolean;

  constructor(definitions: Node, isNullLeftOut: boolean) {
    this.#definitions = definitions;
    this.#isNullLeftOut = isNullLeftOut;
  }

  node(value: Node): Node {
    const { $ref, ...own } = withoutNoise(value);
    if (typeof $ref === 'string') {
      const definition = this.#definitions[$ref.replace('#/$defs/', '')];
      return this.node({ ...(isNode(definition) ? definition : {}), ...own });
    }
    const node = this.#isNullLeftOut ? withoutNull(own) : own;
    if (node !== own) return this.node(node);
    return Object.fromEntries(Object.entries(node).map(([name, member]) => [name, this.#member(member)]));
  }

  #member(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((member) => this.#member(member));
    return isNode(value) ? this.node(value) : value;
  }
}

/** The same node where null is no choice in it. */
function withoutNull(node: Node): Node {
  const { anyOf, type } = node;
  if (Array.isArray(type) && type.includes('null')) {
    const [only, ...others] = type.filter((name) => name !== 'null');
    return { ...node, type: others.length === 0 ? only : [only, ...others] };
  }
  if (!Array.isArray(anyOf)) return node;
  const choices = anyOf.filter((choice) => !isNode(choice) || choice['type'] !== 'null');
  if (choices.length === anyOf.length) return node;
  const { anyOf: _all, ...rest } = node;
  const [only, ...others] = choices;
  return others.length === 0 && isNode(only) ? { ...only, ...rest } : { ...rest, anyOf: choices };
}

/** A name of ours, and a pattern that only says at length what a format says. A property of such a name is an object, and stays. */
function withoutNoise(node: Node): Node {
  const isNoise = (name: string): boolean =>
    (name === 'id' && typeof node[name] === 'string') ||
    (name === 'pattern' && typeof node[name] === 'string' && typeof node['format'] === 'string');
  return Object.fromEntries(Object.entries(node).filter(([name]) => !isNoise(name)));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
