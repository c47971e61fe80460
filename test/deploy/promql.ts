/**
 * What an expression in PromQL asks for, read with the grammar of Prometheus' own editor: names and labels are told apart from words that only
 * look like them, and what Prometheus would refuse to read is an error here.
 */
import { parser } from '@prometheus-io/lezer-promql';

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

export interface Query {
  /** The series, each as often as it stands there. */
  readonly selectors: readonly { readonly metric: string; readonly matchers: readonly Matcher[] }[];
  /** Labels by which something is grouped or joined. */
  readonly groupings: readonly string[];
}

/** Without recovery: the first thing that is not of the grammar ends it. */
const grammar = parser.configure({ strict: true });
type Node = ReturnType<typeof grammar.parse>['topNode'];

/** Functions of what happened in a time. The grammar takes any argument; Prometheus one of these. */
const OF_RANGES = /^(?:rate|irate|increase|delta|idelta|deriv|changes|resets|predict_linear|\w+_over_time)$/;
const RANGES = ['MatrixSelector', 'SubqueryExpr'];

/** Throws a SyntaxError that names the expression and the place. */
export function readQuery(expression: string): Query {
  const text = ({ from, to }: Node): string => expression.slice(from, to);
  const fail = (reason: string): never => {
    throw new SyntaxError(`${expression}: ${reason}`);
  };
  const child = (node: Node, name: string): string => {
    const found = node.getChild(name);
    return found === null ? fail(`${name} is missing in ${text(node)}`) : text(found);
  };
  const selectors: Query['selectors'][number][] = [];
  const groupings: string[] = [];

  const enter = (node: Node): void => {
    if (node.name === 'VectorSelector') {
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      selectors.push({
        metric: child(node, 'Identifier'),
        matchers: matchers.map((matcher) => ({
          label: child(matcher, 'LabelName'),
          operator: child(matcher, 'MatchOp'),
          value: child(matcher, 'StringLiteral').slice(1, -1),
        })),
      });
    } else if (node.name === 'GroupingLabels') {
      groupings.push(...node.getChildren('LabelName').map(text));
    } else if (node.name.startsWith('Quoted')) {
      fail(`${text(node)} is a name in quotes, which no name of ours needs`);
    } else if (node.name === 'FunctionCall') {
      const isOfRange = OF_RANGES.test(child(node, 'FunctionIdentifier'));
      const hasRange = RANGES.some((name) => node.getChild('FunctionCallBody')?.getChild(name));
      if (isOfRange !== hasRange) fail(`${text(node)} has ${hasRange ? 'a' : 'no'} range`);
    }
  };

  tree(expression).iterate({ enter: ({ node }) => enter(node) });
  return { selectors, groupings };
}

function tree(expression: string): ReturnType<typeof grammar.parse> {
  try {
    return grammar.parse(expression);
  } catch (error) {
    throw new SyntaxError(`${expression}: ${String(error)}`, { cause: error });
  }
}
