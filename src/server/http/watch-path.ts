/** Where the watch socket is: for the upgrade, and for requests that come there without one. */
export const WATCH_PATH = /^\/v1\/boards\/([^/?#]+)\/watch$/;
