import { openBench } from './bench/bench.ts';
import { readOptions } from './bench/options.ts';
import { why } from './bench/scenarios/p12-why.ts';
const bench = await openBench(readOptions(['--only', 'P12', '--rounds', '1']), new AbortController().signal);
try { console.log(await why.contenders[0]!.measure(bench)); } finally { await bench.close(); }
