/** Whether an address is one of the open internet. */
import ipaddr from 'ipaddr.js';

/**
 * Of these the last 32 bits are an IPv4 address, which is where the packet goes in the end: mapped, translated (RFC 6145) and of the well-known
 * prefix (RFC 6052). Not 64:ff9b:1::/48 (RFC 8215), within which each network has the IPv4 address where it likes.
 */
const WRAPPED = ['::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96'].map((text) =>
  ipaddr.IPv6.parseCIDR(text),
);
/** RFC 4291: all that is given out of the open internet. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/** Long out of use, as name servers' answers are written; the parser takes it for a mapped one. */
const COMPATIBLE = /^::\d+\./;

export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text) || COMPATIBLE.test(text)) return false;
  const address = ipaddr.parse(text);
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast';
  if (WRAPPED.some((prefix) => address.match(prefix)))
    return new ipaddr.IPv4(address.toByteArray().slice(-4)).range() === 'unicast';
  return address.range() === 'unicast' && address.match(GLOBAL_UNICAST);
}
