/** Health, metrics, published keys, and the description of the API itself. */
import { z } from 'zod';
import { defineRoute } from './route.ts';

const open = { method: 'get', tag: 'system', access: 'open', problems: [] } as const;

export const livez = defineRoute({
  ...open,
  operationId: 'livez',
  path: '/livez',
  summary: '200 while the process runs, whatever the database does.',
  responses: { 200: z.object({ status: z.literal('ok'), version: z.string() }) },
});

const check = z.object({ ok: z.boolean(), detail: z.string() });

export const readyz = defineRoute({
  ...open,
  operationId: 'readyz',
  path: '/readyz',
  summary: '200 while the server can do its work: database reachable, schema current, not draining.',
  responses: {
    200: z.object({ status: z.literal('ready'), checks: z.record(z.string(), check) }),
    503: z.object({ status: z.literal('unready'), checks: z.record(z.string(), check) }),
  },
});

export const metrics = defineRoute({
  ...open,
  operationId: 'metrics',
  path: '/metrics',
  summary: 'Prometheus metrics: open on loopback, else for observers and up.',
  responses: { 200: null },
  mediaType: 'text/plain',
  problems: ['unauthenticated', 'forbidden'],
});

export const openapiDocument = defineRoute({
  ...open,
  operationId: 'openapiDocument',
  path: '/openapi.json',
  summary: 'This document.',
  responses: { 200: z.looseObject({ openapi: z.string() }) },
});

export const asyncapiDocument = defineRoute({
  ...open,
  operationId: 'asyncapiDocument',
  path: '/asyncapi.json',
  summary: 'The AsyncAPI document of the watch socket, the worker socket and the event stream.',
  responses: { 200: z.looseObject({ asyncapi: z.string() }) },
});

export const docsPage = defineRoute({
  ...open,
  operationId: 'docsPage',
  path: '/docs',
  summary: 'A page to read this document, served from our own origin.',
  responses: { 200: null },
  mediaType: 'text/html',
});

export const jwks = defineRoute({
  ...open,
  operationId: 'jwks',
  path: '/.well-known/jwks.json',
  summary: 'Public keys of claim tokens: anyone can verify a claim with them.',
  responses: { 200: z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) }) },
});
