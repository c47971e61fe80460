import { describe, expect, test } from 'vitest';
import {
  DOCS_ASSETS,
  DOCS_CONTENT_SECURITY_POLICY,
  docsAsset,
  docsPage,
} from '../../../../src/server/features/system/docs-page.ts';

describe('the API page', () => {
  test('loads nothing but its own listed files, and has no inline script or style', () => {
    const page = docsPage();
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]);
    const allowed = [
      'data:,',
      '/openapi.json',
      '/asyncapi.json',
      ...Object.keys(DOCS_ASSETS).map((name) => `/docs/${name}`),
    ];
    expect(addresses.filter((address) => !allowed.includes(address ?? ''))).toEqual([]);
    expect(page).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/);
  });

  test('allows no inline code, no other origin and no framing', () => {
    expect(DOCS_CONTENT_SECURITY_POLICY).toContain("default-src 'none'");
    expect(DOCS_CONTENT_SECURITY_POLICY).toContain("frame-ancestors 'none'");
    expect(DOCS_CONTENT_SECURITY_POLICY).not.toMatch(/unsafe|https?:|\*/);
  });

  test('starts without a remembered key and without a validator of somebody else', async () => {
    const script = String((await docsAsset('start.js'))?.body);
    expect(script).toContain('persistAuthorization: false');
    expect(script).toContain('validatorUrl: null');
    expect(script).toContain("url: '/openapi.json'");
  });
});

describe('its files', () => {
  test.each(Object.entries(DOCS_ASSETS))('%s is there, as %s', async (name, contentType) => {
    const asset = await docsAsset(name);
    expect(asset?.contentType).toBe(contentType);
    expect(asset?.body.length).toBeGreaterThan(100);
  });

  test.each([
    '',
    'package.json',
    '../package.json',
    '..%2fpackage.json',
    'swagger-ui.css/../LICENSE',
    'constructor',
    '__proto__',
  ])('a name that is not listed finds nothing: %j', async (name) => {
    expect(await docsAsset(name)).toBeNull();
  });
});
