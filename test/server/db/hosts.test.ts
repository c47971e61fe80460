import { expect, test } from 'vitest';
import { readHosts, withoutCredentials } from '../../../src/server/db/hosts.ts';

test('a URL with several hosts is one URL for each, with everything else of it, and the one that takes writes is sought', () => {
  expect(
    readHosts(
      'postgres://me:p%40ss,word@one:5433,two,[::1]:7/lanes?sslmode=require&target_session_attrs=read-write',
    ),
  ).toEqual({
    urls: [
      'postgres://me:p%40ss,word@one:5433/lanes?sslmode=require',
      'postgres://me:p%40ss,word@two/lanes?sslmode=require',
      'postgres://me:p%40ss,word@[::1]:7/lanes?sslmode=require',
    ],
    isWritableSought: true,
  });
});

test.each([
  ['postgres://one/lanes', false],
  ['postgresql://one', false],
  ['postgres:///lanes', false],
  ['postgres://%2Fvar%2Frun%2Fpostgresql/lanes', false],
  ['postgres://one/lanes?target_session_attrs=any', false],
  ['postgres://one/lanes?target_session_attrs=primary', true],
  ['postgres://one,two/lanes', true],
  ['postgres://me:a%23%2F%3F%40%25b@one/lanes', false],
  ['postgres://one/lanes?user=me@cloud&application_name=a/b?c', false],
])('%s is asked whether it takes writes: %s', (url, isWritableSought) => {
  const { urls, ...rest } = readHosts(url);
  expect(urls[0]).not.toContain('target_session_attrs');
  expect(rest).toEqual({ isWritableSought });
});

test.each([
  ['mysql://one/lanes', /must begin with postgres/],
  ['postgres://me:secret@one,/lanes', /must name its hosts/],
  ['postgres://me:secret@one:54x2/lanes', /must name its hosts/],
  ['postgres://me:secret@one,two/lanes?target_session_attrs=standby', /target_session_attrs=read-write/],
  ['postgres://me:sec#ret@one/lanes', /percent-encoded: # as %23/],
  ['postgres://me:12#secret@one/lanes', /percent-encoded/],
  ['postgres://me:sec/ret@one/lanes', /percent-encoded/],
  ['postgres://me:12/secret@one,two/lanes', /percent-encoded/],
  ['postgres://me:sec?ret@one/lanes', /percent-encoded/],
  ['postgres://me:12?secret@one/lanes?a=b', /percent-encoded/],
  ['postgres://me:secret%@one,two/lanes', /percent-encoded/],
  ['postgres://me:secret@one two/lanes', /must name its hosts/],
  ['postgres://me:secret@one:99999/lanes', /must name its hosts/],
])('%s is refused, without its password', (url, problem) => {
  expect(() => readHosts(url)).toThrow(problem);
  expect(() => readHosts(url)).not.toThrow(/sec|ret@/);
});

test('people are shown hosts and database, and nothing that lets them in', () => {
  expect(withoutCredentials('postgres://me:se@cret@one,two/lanes?password=x')).toBe(
    'postgres://one,two/lanes',
  );
});
