/** How long a peer is waited for that does not do its part, whatever carries what it is sent: a socket, a stream or one large answer. */

/** Nothing at all is taken of what it is sent. Far above any pause of a peer that is still there; for sockets the wire contract pins it. */
export const STALLED_MS_MAX = 60_000;
/** It does not answer a close, or does not read the last of what it is sent. Well within the time that a stop may take. */
export const CLOSE_MS_MAX = 1000;
