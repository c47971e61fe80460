/**
 * The types of every operation, read off the contract's route descriptors: which parameters, query and body it
 * takes and what it answers. Types only: nothing of the contract's schemas is loaded at run time, so that the
 * client stays small and needs no schema library. Generating code from openapi.yaml was the alternative; it
 * adds a build step and a second truth.
 */
import type { z } from 'zod';
import type * as attention from '../contract/attention.ts';
import type * as audit from '../contract/audit.ts';
import type * as boards from '../contract/boards.ts';
import type * as bulk from '../contract/bulk.ts';
import type * as claims from '../contract/claims.ts';
import type * as context from '../contract/context.ts';
import type * as delegations from '../contract/delegations.ts';
import type * as deliveries from '../contract/deliveries.ts';
import type * as events from '../contract/events.ts';
import type * as imports from '../contract/import.ts';
import type * as keys from '../contract/keys.ts';
import type * as lanes from '../contract/lanes.ts';
import type * as links from '../contract/links.ts';
import type * as messages from '../contract/messages.ts';
import type * as outputs from '../contract/outputs.ts';
import type * as runs from '../contract/runs.ts';
import type * as sessions from '../contract/sessions.ts';
import type * as signIn from '../contract/sign-in.ts';
import type * as stats from '../contract/stats.ts';
import type * as subscriptions from '../contract/subscriptions.ts';
import type * as system from '../contract/system.ts';
import type * as tasks from '../contract/task-routes.ts';
import type * as why from '../contract/why.ts';

interface DescriptorShape {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
}

type DescriptorIn<Module> = Extract<Module[keyof Module], DescriptorShape>;

type Descriptor =
  | DescriptorIn<typeof attention>
  | DescriptorIn<typeof audit>
  | DescriptorIn<typeof boards>
  | DescriptorIn<typeof bulk>
  | DescriptorIn<typeof claims>
  | DescriptorIn<typeof context>
  | DescriptorIn<typeof delegations>
  | DescriptorIn<typeof deliveries>
  | DescriptorIn<typeof events>
  | DescriptorIn<typeof imports>
  | DescriptorIn<typeof keys>
  | DescriptorIn<typeof lanes>
  | DescriptorIn<typeof links>
  | DescriptorIn<typeof messages>
  | DescriptorIn<typeof outputs>
  | DescriptorIn<typeof runs>
  | DescriptorIn<typeof sessions>
  | DescriptorIn<typeof signIn>
  | DescriptorIn<typeof stats>
  | DescriptorIn<typeof subscriptions>
  | DescriptorIn<typeof system>
  | DescriptorIn<typeof tasks>
  | DescriptorIn<typeof why>;

/** operationId → the literal type of its descriptor. */
export type Contract = { readonly [D in Descriptor as D['operationId']]: D };
export type OperationId = keyof Contract;

type InputOf<Schema> = Schema extends z.ZodType ? z.input<Schema> : never;

export type ParamsOf<Id extends OperationId> = Contract[Id] extends { readonly params: infer P }
  ? InputOf<P>
  : undefined;

export type BodyOf<Id extends OperationId> = Contract[Id] extends { readonly body: infer B }
  ? InputOf<B>
  : undefined;

/** Query parameters travel as text; a client may give numbers, and lists where the wire wants commas. */
type QueryValue<T> = T extends string ? (string extends T ? string | number | readonly string[] : T) : T;
type QueryValues<Q> = { readonly [K in keyof Q]: QueryValue<Q[K]> | undefined };
export type QueryOf<Id extends OperationId> = Contract[Id] extends { readonly query: infer Q }
  ? QueryValues<InputOf<Q>>
  : undefined;

type SuccessStatus = 200 | 201 | 202 | 204;
type ReplyIn<Responses> = {
  [Status in keyof Responses & SuccessStatus]: Responses[Status] extends z.ZodType
    ? z.output<Responses[Status]>
    : undefined;
}[keyof Responses & SuccessStatus];

/** What an operation resolves to: the JSON body of its success, text where it is not JSON, nothing for 204. */
export type ReplyOf<Id extends OperationId> = Contract[Id] extends { readonly mediaType: string }
  ? string
  : ReplyIn<Contract[Id]['responses']>;

type Required<Key extends string, Value> = Value extends undefined
  ? { readonly [K in Key]?: undefined }
  : { readonly [K in Key]: Value };
type Optional<Key extends string, Value> = { readonly [K in Key]?: Value | undefined };
type BodyArgument<Id extends OperationId> = Contract[Id] extends { readonly isBodyOptional: true }
  ? Optional<'body', BodyOf<Id>>
  : Required<'body', BodyOf<Id>>;

/** What a call of an operation must and may bring. */
export type ArgumentsOf<Id extends OperationId> = Required<'params', ParamsOf<Id>> &
  Optional<'query', QueryOf<Id>> &
  BodyArgument<Id>;
