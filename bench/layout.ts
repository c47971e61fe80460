/** Names of the boards and lanes of a layout: the driver that makes them and the bulk filler must mean the same. */
import type { Layout } from './driver.ts';

export function boardNamesOf({ name, boards }: Layout): readonly string[] {
  return boards === 1 ? [name] : Array.from({ length: boards }, (_, index) => `${name}-${index}`);
}

export function laneNamesOf({ lanesPerBoard }: Layout): readonly string[] {
  return Array.from({ length: lanesPerBoard }, (_, index) => `lane-${index}`);
}
