// What docker-compose.yml and the Dockerfile promise: nobody runs as root, health is checked, data outlives the
// containers, nothing is published beyond loopback, and no secret is written down.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

interface ComposeService {
  user?: string;
  healthcheck?: { test: string[]; interval: string; retries: number };
  depends_on?: Record<string, { condition: string }>;
  environment: Record<string, string>;
  ports?: string[];
  volumes: string[];
}

interface Compose {
  services: Record<'postgres' | 'server', ComposeService>;
  volumes: Record<string, unknown>;
}

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const compose = parse(read('docker-compose.yml')) as Compose;
const services = Object.entries(compose.services);
const dockerfile = read('Dockerfile');

describe('docker-compose.yml', () => {
  it.each(services)('%s runs as an account that is not root', (_name, service) => {
    expect(service.user).toMatch(/^(?!root|0)[a-z0-9]+$/);
  });

  it.each(services)('%s has a healthcheck with a bound', (_name, service) => {
    expect(service.healthcheck?.test[0]).toBe('CMD');
    expect(service.healthcheck?.retries).toBeGreaterThan(0);
  });

  it.each(services)('%s keeps its data in a named volume', (_name, service) => {
    const sources = service.volumes.map((volume) => volume.split(':')[0] ?? '');
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.filter((source) => !(source in compose.volumes))).toEqual([]);
  });

  it('starts the server once Postgres is healthy', () => {
    expect(compose.services.server.depends_on?.['postgres']?.condition).toBe('service_healthy');
  });

  it('publishes the API on loopback only, and Postgres nowhere', () => {
    expect(compose.services.server.ports).toEqual(['127.0.0.1:7420:7420']);
    expect(compose.services.postgres.ports).toBeUndefined();
  });

  it('takes every secret from the environment', () => {
    const { postgres, server } = compose.services;
    expect(postgres.environment['POSTGRES_PASSWORD']).toMatch(/^\$\{POSTGRES_PASSWORD:\?/);
    expect(server.environment['DATABASE_URL']).toContain(':${POSTGRES_PASSWORD:?');
    expect(server.environment['LANEKEEPER_ADMIN_KEY']).toMatch(/^\$\{LANEKEEPER_ADMIN_KEY:-\}$/);
    expect(server.environment['LANEKEEPER_SECRET']).toMatch(/^\$\{LANEKEEPER_SECRET:-\}$/);
  });
});

describe('Dockerfile', () => {
  const finalStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

  it('runs the server directly, as an account that is not root', () => {
    expect(finalStage).toMatch(/^USER node$/m);
    expect(finalStage).toMatch(/^CMD \["node", ("--[a-z=0-9-]+", )*"bin\/lanekeeper\.js", "serve"\]$/m);
  });

  it('checks readiness and keeps /data', () => {
    expect(finalStage).toMatch(/^HEALTHCHECK /m);
    expect(finalStage).toContain('/readyz');
    expect(finalStage).toMatch(/^VOLUME \/data$/m);
  });
});
