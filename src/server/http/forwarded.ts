/**
 * The elements of a forwarding header, the last one first: that is the way in which they can be trusted. A proxy writes its element behind
 * what the client has sent, so everything is read from the right, and nothing that stands further left can change what is read: neither
 * an open quote, which read from the left would swallow the proxy's element, nor length. Anybody may send these headers before
 * authentication, so only their end is looked at, once.
 */

/** Of one proxy that a request has passed. */
export interface ForwardedElement {
  readonly for?: string | undefined;
  readonly proto?: string | undefined;
  readonly host?: string | undefined;
}

/** Proxies one behind another. Nobody has as many; what is further left was written by who knows whom. */
const HOPS_MAX = 32;
/** Some thirty addresses with a scheme and a short name. */
export const FORWARDED_CHARACTERS_MAX = 2048;

/** A parameter, or nothing, and what ends it. A bare value may hold what is no token: proxies write ports and brackets without quotes. */
const PARAMETER =
  /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]+))[ \t]*)?(?:;|$)/y;

/** X-Forwarded-For: addresses alone. */
export function readForwardedFor(text: string): ForwardedElement[] {
  const { tail, isCut } = tailOf(text);
  const hops = tail.split(',').slice(isCut ? 1 : 0);
  return hops
    .slice(-HOPS_MAX)
    .reverse()
    .map((hop) => ({ for: hop.trim() }));
}

/** Forwarded, RFC 7239. An element that cannot be read is empty, and the last one: where it begins nobody knows. */
export function readForwarded(text: string): ForwardedElement[] {
  const { tail, isCut } = tailOf(text);
  const elements: ForwardedElement[] = [];
  for (let end = tail.length; end >= 0 && elements.length < HOPS_MAX; ) {
    const start = startOfElement(tail, end);
    if (start === 0 && isCut) break;
    const element = start === null ? null : readElement(tail.slice(start, end));
    elements.push(element ?? {});
    if (start === null || element === null) break;
    end = start - 1;
  }
  return elements;
}

/** Behind the comma that is not inside of quotes; null: there are quotes that do not begin. */
function startOfElement(text: string, end: number): number | null {
  for (let at = end - 1; at >= 0; at -= 1) {
    if (text[at] === ',') return at + 1;
    if (text[at] !== '"') continue;
    at = openingQuoteOf(text, at);
    if (at === -1) return null;
  }
  return 0;
}

/** Where the quotes begin that end here; -1: nowhere. A quote behind an odd number of backslashes is a character among others. */
function openingQuoteOf(text: string, closing: number): number {
  if (isEscaped(text, closing)) return -1;
  let at = closing;
  do at = at === 0 ? -1 : text.lastIndexOf('"', at - 1);
  while (at !== -1 && isEscaped(text, at));
  return at;
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text[first - 1] === '\\') first -= 1;
  return (at - first) % 2 === 1;
}

/** null: it is not of the form that RFC 7239 gives it, or says something twice. */
function readElement(text: string): ForwardedElement | null {
  const values = new Map<string, string>();
  for (let at = 0; at < text.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const parameter = PARAMETER.exec(text);
    if (parameter === null) return null;
    const [, name, quoted, bare = ''] = parameter;
    if (name === undefined) continue;
    if (values.has(name.toLowerCase())) return null;
    values.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare);
  }
  return { for: values.get('for'), proto: values.get('proto'), host: values.get('host') };
}

function tailOf(text: string): { readonly tail: string; readonly isCut: boolean } {
  const isCut = text.length > FORWARDED_CHARACTERS_MAX;
  return { tail: isCut ? text.slice(-FORWARDED_CHARACTERS_MAX) : text, isCut };
}
