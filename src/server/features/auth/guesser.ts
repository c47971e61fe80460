/**
 * Who is counted as one when credentials are guessed. Whoever has one IPv6 address has at least the 2^64 of its network to choose from, so a
 * bound for each address would be none: the network is counted. The address itself is for the audit log.
 */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Groups of 16 bits: the first 64 bits of an address, which is what a customer gets at least. */
const NETWORK_GROUPS = 4;

/** @param address As it is everywhere here: an IPv4 address inside IPv6 is written as IPv4; '' of a connection that has gone. */
export function guesserOf(address: string): string {
  if (!isIPv6(address) || !ipaddr.IPv6.isValid(address)) return address;
  const { parts } = ipaddr.IPv6.parse(address);
  const network = parts.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}
