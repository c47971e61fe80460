/**
 * A cache of what was used last, which takes memory as it fills. With `max` alone the library would lay out room for all entries beforehand:
 * those of one server took 17 ms of its start and some megabytes, whatever it then held. Reads and writes are as fast while it grows; a full one is somewhat larger.
 */
import { LRUCache } from 'lru-cache';

/**
 * @param entriesMax Above it, what was used longest ago is forgotten.
 * @param ageMsMax Without it, entries stay until there is no room for them.
 */
export function boundedCache<K extends {}, V extends {}>(
  entriesMax: number,
  ageMsMax?: number,
): LRUCache<K, V> {
  return new LRUCache<K, V>({
    maxSize: entriesMax,
    sizeCalculation: () => 1,
    ...(ageMsMax === undefined ? {} : { ttl: ageMsMax }),
  });
}
