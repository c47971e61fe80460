/** Files of JSON with one object a line, which is how many things are handed over at once. */
import { parseObject } from '../client/errors.ts';
import { UsageError } from './exit-codes.ts';

/** Of a file as it was given, for messages. */
export function nameOf(file: string): string {
  return file === '-' ? 'the standard input' : file;
}

/** Empty lines do not count. @throws UsageError that names the line. */
export function objectsOf(text: string, file: string): Record<string, unknown>[] {
  const objects = text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const object = parseObject(line);
    if (object === undefined)
      throw new UsageError(`Line ${index + 1} of ${nameOf(file)} is not a JSON object`);
    return [object];
  });
  if (objects.length === 0) throw new UsageError(`There is nothing in ${nameOf(file)}`);
  return objects;
}
