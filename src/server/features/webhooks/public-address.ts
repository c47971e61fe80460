/** Whether an address is one of the open internet. */
import ipaddr from 'ipaddr.js';

/** Of these the last 32 bits are an IPv4 address, which is where the packet goes in the end. */
const WRAPPED_RANGES: ReadonlySet<string> = new Set(['ipv4Mapped', 'rfc6145', 'rfc6052']);

export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast';
  const range = address.range();
  if (!WRAPPED_RANGES.has(range)) return range === 'unicast';
  return new ipaddr.IPv4(address.toByteArray().slice(-4)).range() === 'unicast';
}
