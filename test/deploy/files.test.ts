/**
 * What the Dockerfile, the compose file, the unit and the proxies promise: nobody runs as root, health is checked, data outlives the
 * containers, nothing is published beyond loopback, no secret is written down or in an environment, and what they name is there.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { PROBLEMS, problemType } from '../../src/contract/problems.ts';
import { readConfig } from '../../src/server/config.ts';
import { SERVER_SETTINGS } from '../../src/testing/environment.ts';
import { ROOT } from '../fixtures/server-process.ts';

interface ComposeService {
  readonly image: string;
  readonly user?: string;
  readonly healthcheck?: { readonly test: string[]; readonly retries: number };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<'postgres' | 'server', ComposeService>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
/** Settings that are secrets, and what holds one. */
const SECRET = /KEY|SECRET|PASSWORD|DATABASE_URL/;

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-deploy-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

describe('docker-compose.yml', () => {
  const compose = parse(read('docker-compose.yml')) as Compose;
  const { postgres, server } = compose.services;
  const services = Object.entries(compose.services);

  test.each(services)('%s is no root, gains no rights, and is of a version', (_, service) => {
    expect(service.user).toMatch(/^(?!root|0)[a-z0-9]+$/);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.image).toMatch(/^[a-z]+:(?!latest$)[\w.-]+$/);
  });

  test.each(services)('%s keeps its data in a named volume', (_, service) => {
    const sources = service.volumes.map((volume) => volume.split(':')[0] ?? '');
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.filter((source) => !(source in compose.volumes))).toEqual([]);
  });

  test.each(services)(
    '%s has secrets as files and none in its environment',
    (_, { environment, secrets }) => {
      const held = Object.entries(environment).filter(([name]) => SECRET.test(name));
      expect(held.length).toBeGreaterThan(0);
      for (const [name, value] of held) {
        expect(name).toMatch(/_FILE$/);
        expect(secrets).toContain(/^\/run\/secrets\/([a-z-]+)$/.exec(value)?.[1]);
      }
    },
  );

  test('starts the server once Postgres is healthy, with a root that is read only', () => {
    expect(postgres.healthcheck?.test[0]).toBe('CMD');
    expect(postgres.healthcheck?.retries).toBeGreaterThan(0);
    expect(server.depends_on?.['postgres']?.condition).toBe('service_healthy');
    expect(server.read_only).toBe(true);
  });

  test('publishes the API on loopback only, and Postgres nowhere', () => {
    expect(server.ports).toEqual(['127.0.0.1:7420:7420']);
    expect(postgres.ports).toBeUndefined();
  });

  test('hands on settings that there are, as they are when nobody set them', () => {
    const names = Object.keys(server.environment);
    const known = [...SERVER_SETTINGS, 'DATABASE_URL_FILE'];
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
    const plain = names.filter((name) => !SECRET.test(name));
    const unset = plain.map((name) => [name, /^\$\{\w+:-(.*)\}$/.exec(server.environment[name] ?? '')?.[1]]);
    expect(readConfig(Object.fromEntries(unset))).toEqual(readConfig({}));
  });

  test('hands on every setting that is no secret, but what the image has settled', () => {
    const code = read('src/server/config.ts');
    const all = [...code.matchAll(/\b(PORT|HOST|DATABASE_URL|LANEKEEPER_[A-Z0-9_]+)\b/g)].map(
      ([, name = '']) => name,
    );
    const settings = [...new Set(all)].filter((name) => !SECRET.test(name));
    const ofImage = [...read('Dockerfile').matchAll(/^(?:ENV)? +([A-Z_]+)=\S+(?: \\)?$/gm)].map(
      ([, name = '']) => name,
    );
    const wanted = settings.filter((name) => !ofImage.includes(name));
    expect(wanted.length).toBeGreaterThan(10);
    expect(ofImage).toEqual(expect.arrayContaining(['PORT', 'HOST', 'LANEKEEPER_DATA_DIR']));
    const given = Object.keys(server.environment).filter((name) => !SECRET.test(name));
    expect(given.toSorted()).toEqual(wanted.toSorted());
  });

  test('finds every secret where make-secrets.sh puts it: random, good for the server, and made once', () => {
    const directory = temporaryDirectory();
    const make = (into: string): void =>
      void execFileSync('sh', [join(ROOT, 'deploy/docker/make-secrets.sh'), into], { stdio: 'pipe' });
    const [one, other] = [join(directory, 'one'), join(directory, 'other')];
    make(one);
    make(other);
    const names = Object.values(compose.secrets).map(({ file }) => file.replace('./secrets/', ''));
    expect(readdirSync(one).toSorted()).toEqual(names.toSorted());
    expect(statSync(one).mode & 0o777).toBe(0o700);
    const contents = (at: string): string[] =>
      names.map((name) => readFileSync(join(at, name), 'utf8').trim());
    for (const [index, content] of contents(one).entries()) {
      expect(content).not.toBe(contents(other)[index]);
      expect(content.length).toBeGreaterThanOrEqual(64);
    }
    const config = readConfig({
      DATABASE_URL_FILE: join(one, 'database-url'),
      LANEKEEPER_ADMIN_KEY_FILE: join(one, 'admin-key'),
      LANEKEEPER_SECRET_FILE: join(one, 'lanekeeper-secret'),
    });
    expect(new URL(config.databaseUrl ?? '').password).toBe(
      readFileSync(join(one, 'postgres-password'), 'utf8').trim(),
    );
    const before = contents(one);
    make(one);
    expect(contents(one)).toEqual(before);
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile');
  const stages = dockerfile.split(/^(?=FROM )/m).slice(1);
  const [build = '', final = ''] = stages;

  test('builds on a version of Node that the server runs on and that gets long support, and hands on no tools', () => {
    expect(stages).toHaveLength(2);
    const [, version] = /^ARG NODE_VERSION=(\d+)$/m.exec(dockerfile) ?? [];
    const [, oldest] = /^>=(\d+)\.\d+$/.exec(JSON.parse(read('package.json')).engines.node) ?? [];
    // A major takes in all of its minors only above the one that the range begins in.
    expect(Number(version)).toBeGreaterThan(Number(oldest));
    // Odd ones end after half a year.
    expect(Number(version) % 2).toBe(0);
    expect(read('docs/deploy.md')).toContain(`It is built on Node ${version},`);
    for (const stage of stages) expect(stage).toMatch(/^FROM node:\$\{NODE_VERSION\}-slim\b/);
    expect(build).toMatch(/npm prune --omit=dev/);
  });

  test('runs the server directly, as an account that is not root, and stops it so that it drains', () => {
    expect(final).toMatch(/^USER node$/m);
    expect(final).toMatch(/^CMD \["node", ("--[a-z=0-9-]+", )*"bin\/lanekeeper\.js", "serve"\]$/m);
    expect(final).toMatch(/^STOPSIGNAL SIGTERM$/m);
    expect(final.indexOf('USER node')).toBeGreaterThan(final.lastIndexOf('RUN '));
  });

  test('checks that it lives, and keeps /data', () => {
    expect(final).toMatch(/^HEALTHCHECK --interval=\d+s --timeout=\d+s --start-period=\d+s --retries=\d+ /m);
    expect(final).toContain('/livez');
    expect(final).toMatch(/^VOLUME \/data$/m);
  });

  test('has no secret in it', () => {
    for (const [, names = ''] of dockerfile.matchAll(/^(?:ENV|ARG) ((?:.*\\\n)*.*)$/gm))
      expect(names).not.toMatch(SECRET);
  });

  test('copies what is let into its context, and what the build makes', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect(read('.dockerignore')).toMatch(/^\*$/m);
    for (const name of allowed) expect(existsSync(join(ROOT, name)), name).toBe(true);
    const sources = [...dockerfile.matchAll(/^COPY (--from=build )?(.+) \S+$/gm)].flatMap(
      ([, from, names = '']) =>
        names.split(' ').map((name) => (from === undefined ? name : name.replace('/app/', ''))),
    );
    expect(sources.length).toBeGreaterThan(5);
    // The build makes these two; package.json says of the rest what the package needs.
    const made = ['.', 'node_modules', 'dist'];
    expect(sources.filter((name) => !made.includes(name) && !allowed.includes(name))).toEqual([]);
    const packed: string[] = JSON.parse(read('package.json')).files;
    for (const name of ['bin', 'dist', 'drizzle', 'openapi.yaml', 'LICENSE'])
      expect(packed.concat('LICENSE')).toContain(name);
    for (const name of ['bin', 'dist', 'drizzle', 'openapi.yaml', 'package.json'])
      expect(sources).toContain(name);
  });
});

describe('the unit of systemd', () => {
  const unit = read('deploy/systemd/lanekeeper@.service');
  const values = (name: string): string[] =>
    [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);

  test('starts what the package has, as nobody, with nothing to write to and no way to gain rights', () => {
    const [command = ''] = values('ExecStart');
    const [, path = ''] =
      / \/opt\/lanekeeper\/current\/node_modules\/lanekeeper\/(\S+) serve$/.exec(command) ?? [];
    expect(existsSync(join(ROOT, path))).toBe(true);
    for (const [name, value] of [
      ['DynamicUser', 'yes'],
      ['NoNewPrivileges', 'yes'],
      ['ProtectSystem', 'strict'],
      ['ProtectHome', 'yes'],
      ['CapabilityBoundingSet', ''],
      ['Restart', 'always'],
    ] as const)
      expect([name, values(name)]).toEqual([name, [value]]);
    // The server leaves within 5 s; the unit waits for longer than that.
    expect(Number(values('TimeoutStopSec')[0])).toBeGreaterThan(5);
  });

  test('keeps servers of one machine apart: state, settings, and what counts when a setting is in both files', () => {
    expect(values('StateDirectory')).toEqual(['lanekeeper/%i']);
    expect(values('WorkingDirectory')).toEqual(['%S/lanekeeper/%i']);
    expect(values('Environment')).toContain('LANEKEEPER_DATA_DIR=%S/lanekeeper/%i');
    expect(values('EnvironmentFile')).toEqual(['-/etc/lanekeeper/environment', '-/etc/lanekeeper/%i.env']);
  });

  test('leads to documentation that the package has', () => {
    const [page = ''] = values('Documentation');
    const [, path = ''] =
      /^file:\/opt\/lanekeeper\/current\/node_modules\/lanekeeper\/(\S+)$/.exec(page) ?? [];
    expect(existsSync(join(ROOT, path))).toBe(true);
    expect(path).toMatch(/^docs\//);
  });

  test('has its secrets as credentials', () => {
    const loaded = values('LoadCredential').map((line) => line.split(':')[0]);
    const settings = values('Environment').map((line) => line.split('=') as [string, string]);
    const held = settings.filter(([name]) => SECRET.test(name));
    expect(held.map(([name, value]) => [/_FILE$/.test(name), value.replace('%d/', '')])).toEqual(
      loaded.map((name) => [true, name]),
    );
    const known = [...SERVER_SETTINGS, 'DATABASE_URL_FILE', 'NODE_ENV'];
    expect(settings.map(([name]) => name).filter((name) => !known.includes(name))).toEqual([]);
  });
});

test('no server behind nginx is taken out by a 503, also none that is added', () => {
  const [upstream = ''] = /^upstream [\s\S]*?^\}/m.exec(read('deploy/nginx/lanekeeper.conf')) ?? [];
  const servers = upstream.match(/^ *(?:# )?server \S+.*;$/gm) ?? [];
  expect(servers.length).toBeGreaterThan(1);
  expect(servers.filter((line) => !/ max_fails=0;$/.test(line))).toEqual([]);
});

test('no proxy buffers streams, and none goes on with requests of clients that are gone', () => {
  expect(read('deploy/nginx/lanekeeper.conf')).toMatch(/^ *proxy_buffering off;$/m);
  expect(read('deploy/nginx/lanekeeper.conf')).not.toMatch(/^ *proxy_ignore_client_abort/m);
  // Caddy sends streams on as they come, and is told to keep requests by the very setting that says so.
  expect(read('deploy/caddy/Caddyfile')).not.toMatch(/^\s*flush_interval/m);
});

describe.each(['deploy/nginx/lanekeeper.conf', 'deploy/caddy/Caddyfile'])('%s', (path) => {
  const text = read(path);

  test('keeps metrics in, waits longer than a long poll, and hands on no word of the client about itself', () => {
    expect(text).toMatch(/\/metrics/);
    expect(text).toMatch(/90s/);
    expect(text).toMatch(/proxy_set_header Forwarded ""|header_up -Forwarded/);
    expect(text).toMatch(/Strict-Transport-Security/);
  });

  test('answers for servers that are away as they would', () => {
    const [problem = '{}'] = /\{"type".*?\}/.exec(text) ?? [];
    const { status, title } = PROBLEMS.database_unavailable;
    const code = 'database_unavailable';
    expect(JSON.parse(problem)).toMatchObject({ type: problemType(code), title, status, code });
    expect(text).toMatch(/Retry-After 2/);
  });
});
