/** The door of webhooks. */
export { refusalOf, type TrustedHosts } from './guarded-post.ts';
export { WebhookSender } from './sender.ts';
