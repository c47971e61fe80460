/** The webhook of a subscription: its address judged, its secret made, kept or changed. */
import { randomBytes } from 'node:crypto';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { SecretBox } from '../auth/service.ts';
import type { SubscriptionManner, SubscriptionRow } from './store.ts';
import type { Wish } from './wish.ts';

/** Standard Webhooks asks for 24 to 64. */
const WEBHOOK_SECRET_BYTES = 32;

interface WebhookParts {
  readonly secrets: SecretBox;
  readonly refusalOf: (url: URL) => string | null;
}

/** A secret that the server makes is shown once. */
export function webhookOf(
  { secrets, refusalOf }: WebhookParts,
  { webhook }: Wish,
  known: SubscriptionRow | null,
): { webhook: SubscriptionManner['webhook']; secret: string | null } {
  const knownSecret = known?.webhook_secret ?? null;
  if (!webhook) {
    const url = known?.webhook_url ?? null;
    const kept = url === null || knownSecret === null ? null : { url, sealedSecret: knownSecret };
    return { webhook: kept, secret: null };
  }
  const { url } = webhook;
  const refusal = refusalOf(new URL(url));
  if (refusal !== null) throw badWebhook(refusal);
  const given = webhook.secret ?? null;
  if (given === null && knownSecret !== null)
    return { webhook: { url, sealedSecret: knownSecret }, secret: null };
  // The same secret again is no rotation, although it would be sealed to another text.
  if (given !== null && knownSecret !== null && secrets.open(knownSecret) === given)
    return { webhook: { url, sealedSecret: knownSecret }, secret: null };
  const secret = given ?? `whsec_${randomBytes(WEBHOOK_SECRET_BYTES).toString('base64')}`;
  return { webhook: { url, sealedSecret: secrets.seal(secret) }, secret: given === null ? secret : null };
}

function badWebhook(refusal: string): ProblemError {
  return new ProblemError('invalid_request', `The URL of a webhook ${refusal}.`, {
    errors: [{ pointer: '/webhook/url', detail: refusal }],
  });
}
