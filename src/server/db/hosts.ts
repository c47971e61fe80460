/**
 * A connection URL with one host or several, in libpq's form: `postgres://user@one:5432,two/database?target_session_attrs=read-write`. The
 * driver's own choice of a host is not used: of the hosts that refuse it tries one after the other for ever and at once, and by `read-write`
 * it is content with a standby (3.4.9).
 */
export interface DatabaseAddress {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

export interface DatabaseHosts {
  /** One URL per host, in the order given; each has everything else of the URL. */
  readonly urls: readonly [string, ...string[]];
  /** A host has to be asked whether it takes writes before it is used. */
  readonly isWritableSought: boolean;
}

const ATTRIBUTES = 'target_session_attrs';
/** A server of ours writes: several hosts are always looked through for the one that takes writes. */
const SUPPORTED_ATTRIBUTES = ['any', 'read-write', 'primary'];
const SHAPE = /^(?<scheme>postgres(?:ql)?:\/\/)(?<authority>[^/?]*)(?<path>[^?]*)(?:\?(?<query>.*))?$/;
const ENCODED =
  'must have the special characters of its user and password percent-encoded: # as %23, / as %2F, ? as %3F, @ as %40, % as %25';
/** Of names, IPv4 and bracketed IPv6 addresses. */
const HOST = /^(\[[^\]]+\]|[^:[\]]*)(:\d{1,5})?$/;

/** @throws Error that says what is wrong, without the password. */
export function readHosts(url: string): DatabaseHosts {
  const { scheme = '', authority = '', path = '', query = '' } = SHAPE.exec(url)?.groups ?? {};
  if (scheme === '') throw new Error('must begin with postgres:// or postgresql://');
  const parameters = query.split('&').filter((parameter) => parameter !== '');
  // What ends the authority too soon leaves the rest of the password, and the hosts, behind it.
  const isCutShort = path.includes('@') || parameters.some((parameter) => /^[^=]*@/.test(parameter));
  if (url.includes('#') || isCutShort) throw new Error(ENCODED);
  const at = authority.lastIndexOf('@') + 1;
  const [credentials, hosts] = [authority.slice(0, at), authority.slice(at).split(',')];
  const wrong = hosts.find((host) => !HOST.test(host) || (host === '' && hosts.length > 1));
  const isReadableHost = (host: string): boolean => isReadable(`${scheme}${host}${path}`);
  if (wrong !== undefined || !hosts.every(isReadableHost))
    throw new Error('must name its hosts as host:port, with commas between them');
  const isOfAttributes = (parameter: string): boolean => parameter.startsWith(`${ATTRIBUTES}=`);
  const attributes = parameters.find(isOfAttributes)?.slice(ATTRIBUTES.length + 1);
  if (attributes !== undefined && !SUPPORTED_ATTRIBUTES.includes(attributes))
    throw new Error(`may have ${ATTRIBUTES}=read-write: Lanekeeper needs a server that takes writes`);
  const rest = parameters.filter((parameter) => !isOfAttributes(parameter)).join('&');
  const urlOf = (host: string): string =>
    `${scheme}${credentials}${host}${path}${rest === '' ? '' : `?${rest}`}`;
  const [first = '', ...others] = hosts;
  if (!isReadable(urlOf(first))) throw new Error(ENCODED);
  return {
    urls: [urlOf(first), ...others.map(urlOf)],
    isWritableSought: others.length > 0 || (attributes !== undefined && attributes !== 'any'),
  };
}

/** By the driver, which would say so at each connection, and show the URL. */
function isReadable(url: string): boolean {
  try {
    const { username, password } = new URL(url);
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** For people. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/.*@/, '//').replace(/\?.*$/, '');
}
