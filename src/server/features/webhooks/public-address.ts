/** Whether an address is one of the open internet. */
import ipaddr from 'ipaddr.js';

/** Of these the last 32 bits are an IPv4 address, which is where the packet goes in the end. */
const WRAPPED_RANGES: ReadonlySet<string> = new Set(['ipv4Mapped', 'rfc6145', 'rfc6052']);
/** RFC 4291: all that is given out of the open internet. Outside lie ::a.b.c.d and the translators' own 64:ff9b:1::/48, which no list of ranges knows. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast';
  const range = address.range();
  if (!WRAPPED_RANGES.has(range)) return range === 'unicast' && address.match(GLOBAL_UNICAST);
  return new ipaddr.IPv4(address.toByteArray().slice(-4)).range() === 'unicast';
}
