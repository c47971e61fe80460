/** Filters of a page in its address, so that a reload or a shared link shows the same. What says nothing is left out. */
import { useCallback } from 'react';
import { useSearchParams } from 'wouter';

export type AddressFields = Readonly<Record<string, string>>;

/** Pure. '' takes a field out; the others stay. */
export function withFields(search: URLSearchParams, changes: AddressFields): URLSearchParams {
  const changed = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') changed.delete(name);
    else changed.set(name, value);
  }
  return changed;
}

/** Going back leaves the page; it does not walk through every filter. */
export function useAddressFields(): readonly [
  read: (name: string) => string,
  change: (changes: AddressFields) => void,
] {
  const [search, setSearch] = useSearchParams();
  const change = useCallback(
    (changes: AddressFields) => {
      const { hash } = location;
      setSearch((before) => withFields(before, changes), { replace: true });
      // The router leaves out what stands behind the "#".
      if (hash !== '') history.replaceState(history.state, '', location.pathname + location.search + hash);
    },
    [setSearch],
  );
  return [(name) => search.get(name) ?? '', change];
}
