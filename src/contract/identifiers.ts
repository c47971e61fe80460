/** Names and ids as they look on the wire. */
import { z } from 'zod';

/** Boards and lanes go by name. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** 26 characters of Crockford base32 in lower case: a UUIDv7 as TypeID writes it (github.com/jetify-com/typeid). */
const TYPEID_SUFFIX = '[0-7][0-9a-hjkmnp-tv-z]{25}';

export const BoardName = z
  .string()
  .regex(NAME_PATTERN, 'must match ^[a-z0-9][a-z0-9._-]{0,63}$')
  .meta({ id: 'BoardName' });
export const LaneName = z
  .string()
  .regex(NAME_PATTERN, 'must match ^[a-z0-9][a-z0-9._-]{0,63}$')
  .meta({ id: 'LaneName' });

/** A worker's name is chosen by the worker: printable, without spaces at the ends, at most 128 characters. */
export const WorkerName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, 'must be printable ASCII without spaces at its ends')
  .meta({ id: 'WorkerName' });

function typeId<P extends string>(prefix: P, id: string) {
  return z
    .string()
    .regex(new RegExp(`^${prefix}_${TYPEID_SUFFIX}$`), `must be an id of the form ${prefix}_…`)
    .meta({ id });
}

export const TaskId = typeId('task', 'TaskId');
export const RunId = typeId('run', 'RunId');
export const KeyId = typeId('key', 'KeyId');
export const CommentId = typeId('cmt', 'CommentId');
export const MessageId = typeId('msg', 'MessageId');
export const OperationId = typeId('op', 'OperationId');
export const DelegationId = typeId('deleg', 'DelegationId');
export const SubscriptionId = typeId('sub', 'SubscriptionId');
export const DeliveryId = typeId('dlv', 'DeliveryId');

/** What a task answers to in a path: its id or its external_ref. */
export const TaskReference = z.string().min(1).max(255).meta({ id: 'TaskReference' });
export const ExternalRef = z
  .string()
  .min(1)
  .max(255)
  .regex(
    /^(?!task_)(?!\.{1,2}$)[^\s/?#%\\]+$/,
    'must not begin with task_, be . or .., or contain white space or any of / ? # % \\',
  )
  .meta({ id: 'ExternalRef' });

/** Opaque position in a board's log. */
export const Cursor = z.string().min(1).max(128).meta({ id: 'Cursor' });
export const PageToken = z.string().min(1).max(512).meta({ id: 'PageToken' });
/** What Postgres takes as an offset is below 16 hours, and a text of ours has at most nine decimals. */
const STORABLE_TIMESTAMP = /^[^.]*(\.\d{1,9})?(Z|[+-](0\d|1[0-5]):\d\d)$/;

function isStorableTimestamp(text: string): boolean {
  const utc = Date.parse(text);
  return STORABLE_TIMESTAMP.test(text) && utc >= Date.UTC(1970, 0, 2) && utc < Date.UTC(10_000, 0, 1);
}

/** RFC 3339, from 1970 to 9999 in UTC; the server writes UTC with milliseconds. */
export const Timestamp = z.iso
  .datetime({ offset: true })
  .refine(isStorableTimestamp, 'must lie from 1970-01-02 to 9999-12-31 in UTC')
  .meta({ id: 'Timestamp' });
