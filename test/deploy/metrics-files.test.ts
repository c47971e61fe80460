/** What the alerts and the dashboard ask is PromQL, and there: every metric, every label, every closed value, every section of the manual. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { PROBLEM_CODES } from '../../src/contract/problems.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { DELEGATION_STATUSES, OUTCOMES, TASK_STATUSES } from '../../src/contract/statuses.ts';
import { createMetrics, DELIVERY_OUTCOMES, HOLD_LIMITS } from '../../src/server/observability/metrics.ts';
import { ROOT } from '../fixtures/server-process.ts';
import { type Matcher, readQuery } from './promql.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly datasource: { readonly uid: string };
  }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      /** What Grafana asks; the definition is what it shows. */
      readonly query: unknown;
      readonly definition?: string;
    }[];
  };
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const rules: readonly Rule[] = parse(read('deploy/prometheus/alerts.yaml')).groups.flatMap(
  ({ rules: inner }: { rules: Rule[] }) => inner,
);
const dashboard: Dashboard = JSON.parse(read('deploy/grafana/dashboard.json'));

/** Labels that scraping adds. */
const OF_SCRAPES = ['job', 'instance'];
/** What the values of these labels are taken from; `limit` is what a hold runs out of. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  code: PROBLEM_CODES,
  operation: [...ROUTES.map(({ operationId }) => operationId), 'mcpMessages'],
  'status of lanekeeper_tasks': TASK_STATUSES,
  'status of lanekeeper_delegations': DELEGATION_STATUSES,
  'outcome of lanekeeper_run_ends_total': OUTCOMES,
  'outcome of lanekeeper_deliveries_total': DELIVERY_OUTCOMES,
  limit: HOLD_LIMITS,
};

/** Series as they are scraped → their labels. */
const series = new Map<string, readonly string[]>([['up', []]]);
beforeAll(() => {
  for (const metric of createMetrics().registry.getMetricsAsArray() as unknown as Metric[]) {
    const labels = [...(metric.labelNames ?? [])];
    if (metric.buckets === undefined) {
      series.set(metric.name, labels);
      continue;
    }
    series.set(`${metric.name}_bucket`, [...labels, 'le']);
    for (const part of ['sum', 'count']) series.set(`${metric.name}_${part}`, labels);
  }
});

interface Metric {
  readonly name: string;
  readonly labelNames?: readonly string[];
  readonly buckets?: readonly number[];
}

/** What is wrong with what an expression asks for, in words; what is no expression is thrown. */
function faultsOf(expression: string): string[] {
  const { selectors, groupings } = readQuery(expression);
  const known = new Set(OF_SCRAPES);
  const faults = selectors.flatMap(({ metric, matchers }) => {
    const labels = series.get(metric);
    if (labels === undefined) return [`there is no ${metric}`];
    for (const label of labels) known.add(label);
    return matchers.flatMap((matcher) => faultsOfMatcher(metric, labels, matcher));
  });
  const unknown = groupings.filter((label) => !known.has(label));
  return [...faults, ...unknown.map((label) => `nothing in it has a label ${label}`)];
}

function faultsOfMatcher(
  metric: string,
  labels: readonly string[],
  { label, operator, value }: Matcher,
): string[] {
  if (![...labels, ...OF_SCRAPES].includes(label)) return [`${metric} has no label ${label}`];
  const values = VALUES[`${label} of ${metric}`] ?? VALUES[label];
  const wanted = operator.includes('~') ? value.split('|') : [value];
  return wanted
    .filter((each) => values !== undefined && !values.includes(each))
    .map((each) => `${label} of ${metric} is never ${each}`);
}

test('a fault is found', () => {
  expect(faultsOf('sum by (code) (rate(lanekeeper_problems_total{code="internal"}[5m]))')).toEqual([]);
  expect(faultsOf('lanekeeper_problem_total')).toEqual(['there is no lanekeeper_problem_total']);
  expect(faultsOf('lanekeeper_http_request_seconds')).toEqual([
    'there is no lanekeeper_http_request_seconds',
  ]);
  expect(faultsOf('lanekeeper_problems_total{kode="internal"}')).toEqual([
    'lanekeeper_problems_total has no label kode',
  ]);
  expect(faultsOf('lanekeeper_problems_total{code=~"internal|odd"}')).toEqual([
    'code of lanekeeper_problems_total is never odd',
  ]);
  expect(faultsOf('sum by (lane) (lanekeeper_claims_total)')).toEqual(['nothing in it has a label lane']);
  expect(faultsOf('lanekeper_claims_total')).toEqual(['there is no lanekeper_claims_total']);
});

test.each([
  ['a bracket too few', 'sum(rate(lanekeeper_claims_total[5m])'],
  ['a bracket too many', 'sum(lanekeeper_claims_total))'],
  ['a function that is not there', 'rates(lanekeeper_claims_total[5m])'],
  ['a rate of no time', 'rate(lanekeeper_claims_total)'],
  ['a time where none is wanted', 'abs(lanekeeper_claims_total[5m])'],
  ['a time without unit of time', 'rate(lanekeeper_claims_total[5 minutes])'],
  ['a label without a value', 'up{job=}'],
  ['a name that has to be looked up', '{__name__="up"}'],
  ['nothing', ''],
])('%s is no expression', (_, expression) => {
  expect(() => faultsOf(expression)).toThrow(SyntaxError);
});

/** Routes that may wait on purpose: what they take says nothing. */
const WAITING = [
  ...ROUTES.filter((route) => 'isWaitable' in route && route.isWaitable).map(
    ({ operationId }) => operationId,
  ),
  'mcpMessages',
]
  .toSorted()
  .join('|');

describe('the alerts', () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s asks for what there is, and leads to its section',
    (_, rule) => {
      expect(faultsOf(rule.expr)).toEqual([]);
      expect(rule.for).toMatch(/^\d+[smh]$/);
      expect(rule.labels['severity']).toMatch(/^(critical|warning|info)$/);
      for (const name of ['summary', 'description']) expect(rule.annotations[name]).toMatch(/^\S.*\.$/s);
      const [, page = '', anchor] = /^(docs\/\w+\.md)#(\w+)$/.exec(rule.annotations['runbook'] ?? '') ?? [];
      expect(anchor).toBe(rule.alert.toLowerCase());
      expect(read(page)).toMatch(new RegExp(`^### ${rule.alert}$`, 'm'));
    },
  );

  test('have a name each, and the manual none that is not there', () => {
    const names = rules.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    const told = [...read('docs/operations.md').matchAll(/^### (Lanekeeper\w+)$/gm)].map(([, name]) => name);
    expect(told.toSorted()).toEqual(names.toSorted());
  });

  test('leave out of the durations exactly what waits on purpose', () => {
    const excluded = [
      ...(read('deploy/prometheus/alerts.yaml') + read('deploy/grafana/dashboard.json')).matchAll(
        /operation!~\\?"([^"\\]*)/g,
      ),
    ];
    expect(excluded.length).toBeGreaterThan(1);
    for (const [, list] of excluded) expect(list).toBe(WAITING);
  });
});

/** Of the process, named by their library: the dashboard shows those of them that say something. */
const OF_PROCESS = /^lanekeeper_(process|nodejs)_/;

test('what the server counts is looked at by a panel or an alert', () => {
  const looked = read('deploy/prometheus/alerts.yaml') + read('deploy/grafana/dashboard.json');
  const names = createMetrics()
    .registry.getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => !OF_PROCESS.test(name));
  expect(names.filter((name) => !new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`).test(looked))).toEqual([]);
});

test('counters that an alert waits for are there before the first occurrence', async () => {
  const text = await createMetrics().registry.metrics();
  const waited = rules.flatMap(({ expr }) => [
    ...expr.matchAll(/increase\((lanekeeper_\w+)(?:\{(\w+)="(\w+)"\})?/g),
  ]);
  expect(waited.length).toBeGreaterThan(3);
  for (const [, name = '', label, value] of waited)
    expect(text).toMatch(
      new RegExp(
        label === undefined ? `^${name}(\\{[^}]*\\})? 0$` : `^${name}\\{${label}="${value}"\\} 0$`,
        'm',
      ),
    );
});

describe('the dashboard', () => {
  const { panels } = dashboard;
  const graphs = panels.filter(({ type }) => type !== 'row');

  test.each(graphs.map((panel) => [panel.title, panel] as const))(
    '%s asks for what there is, with a unit, of the chosen source',
    (_, panel) => {
      expect(panel.targets?.length).toBeGreaterThan(0);
      expect(panel.fieldConfig?.defaults.unit).toMatch(/\S/);
      for (const { expr, datasource } of panel.targets ?? []) {
        expect([expr, faultsOf(withoutVariables(expr))]).toEqual([expr, []]);
        // Without them two installations of one Prometheus would be added up.
        expect(expr).toContain('job="$job"');
        expect(datasource.uid).toMatch(/^\$\{datasource\}$/);
      }
      expect(new Set(panel.targets?.map(({ refId }) => refId)).size).toBe(panel.targets?.length);
    },
  );

  test('has ids of one panel each, and panels beside each other', () => {
    expect(dashboard.uid).toMatch(/^[a-z-]{1,40}$/);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const {
      title,
      gridPos: { x, y, w, h },
    } of panels) {
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column += 1)
        for (let line = y; line < y + h; line += 1) {
          const place = `${column},${line}`;
          expect(taken.has(place), `${title} covers another panel`).toBe(false);
          taken.add(place);
        }
    }
  });

  test('takes source, job and servers from variables, and marks starts', () => {
    const { list } = dashboard.templating;
    expect(list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ]);
    for (const { query, definition = '' } of list.filter(({ type }) => type === 'query')) {
      expect(query).toMatchObject({ query: definition });
      const [, asked = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
      expect(faultsOf(withoutVariables(`count by (${label}) (${asked})`))).toEqual([]);
    }
    for (const { expr } of dashboard.annotations.list) expect(faultsOf(withoutVariables(expr))).toEqual([]);
  });
});

/** As Grafana fills it in. A dollar that is left would be a variable that nobody sets. */
function withoutVariables(expression: string): string {
  const filled = expression
    .replaceAll(/\$job\b/g, 'j')
    .replaceAll(/\$instance\b/g, '.+')
    .replaceAll(/\$__rate_interval\b/g, '5m');
  expect(filled).not.toContain('$');
  return filled;
}
