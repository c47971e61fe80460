/** Frames of the watch socket, `/v1/boards/{board}/watch`, subprotocol lanekeeper.v1: JSON text frames. */
import { z } from 'zod';
import { Event } from './events.ts';
import { Cursor, LaneName, TaskId, WorkerName } from './identifiers.ts';

/** Chosen by the client and echoed in every answer. */
const FrameId = z.string().min(1).max(64);
const filter = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(100).nullish();

export const WatchFrame = z.strictObject({
  type: z.literal('watch'),
  id: FrameId,
  after: Cursor.nullish().describe('A cursor, "start", or "now" (the default).'),
  lanes: filter(LaneName),
  tasks: filter(TaskId),
  kinds: filter(z.string().min(1).max(64)),
});
export type WatchFrame = z.infer<typeof WatchFrame>;

const UnwatchFrame = z.strictObject({ type: z.literal('unwatch'), id: FrameId });

export const HelloFrame = z.strictObject({
  type: z.literal('hello'),
  id: FrameId,
  lane: LaneName,
  worker: WorkerName,
  version: z.string().min(1).max(64).nullish(),
});
export type HelloFrame = z.infer<typeof HelloFrame>;

export const ClientFrame = z.discriminatedUnion('type', [WatchFrame, UnwatchFrame, HelloFrame]);
export type ClientFrame = z.infer<typeof ClientFrame>;

export const ServerFrame = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('watching'), id: FrameId, cursor: Cursor }),
  z.looseObject({ type: z.literal('events'), id: FrameId, events: z.array(Event), cursor: Cursor }),
  z.looseObject({ type: z.literal('bookmark'), id: FrameId, cursor: Cursor }),
  z.looseObject({ type: z.literal('available'), lane: LaneName, ready: z.int() }),
  z.looseObject({ type: z.literal('reply'), id: FrameId, ok: z.boolean() }),
  z.looseObject({
    type: z.literal('error'),
    id: FrameId.optional(),
    code: z.string(),
    title: z.string(),
    detail: z.string(),
    fatal: z.boolean(),
  }),
  z.looseObject({ type: z.literal('drain'), reconnect_after_ms: z.int() }),
]);
export type ServerFrame = z.infer<typeof ServerFrame>;
