import { readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';

test('openapi.yaml is valid by the schema of OpenAPI 3.1', async () => {
  const validator = new Validator();
  const result = await validator.validate(
    await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'),
  );
  expect(result).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
});
