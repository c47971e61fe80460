/** Asks a model for one answer, over the chat completions protocol that most of them speak. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';

export interface ChatAsk {
  /** As in `https://api.example.com/v1`: the path is put behind it. */
  readonly endpoint: string;
  readonly model: string;
  readonly apiKey: string | null;
  readonly guidance: string;
  readonly text: string;
  readonly signal: AbortSignal;
}

class ChatError extends Error {
  override readonly name = 'ChatError';
  /** The model has too much to do, and may answer after so long; null: it would say the same again. */
  readonly retrySeconds: number | null;

  constructor(message: string, retrySeconds: number | null = null) {
    super(message);
    this.retrySeconds = retrySeconds;
  }
}

/** A reply of a thousand words with all that stands around it, many times over. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Of what a model says it cannot do. */
const ERROR_CHARACTERS_MAX = 500;

/** 429 and 503 ask for patience. */
const BUSY: ReadonlySet<number> = new Set([429, 503]);
/** When the model does not say; and at most, because a reply has 45 s in all. */
const RETRY_SECONDS_DEFAULT = 2;
const RETRY_SECONDS_MAX = 10;

const Completion = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).min(1),
});

/** Rejects with ChatError, or with what the network says. */
async function completeChat(ask: ChatAsk): Promise<string> {
  const answer = await fetch(`${ask.endpoint.replace(/\/+$/, '')}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(ask.apiKey === null ? {} : { authorization: `Bearer ${ask.apiKey}` }),
    },
    body: JSON.stringify({
      model: ask.model,
      messages: [
        { role: 'system', content: ask.guidance },
        { role: 'user', content: ask.text },
      ],
    }),
    redirect: 'error',
    signal: ask.signal,
  });
  const text = await boundedText(answer);
  if (!answer.ok) {
    const said = text.slice(0, ERROR_CHARACTERS_MAX);
    const isBusy = BUSY.has(answer.status);
    throw new ChatError(
      `the model answered ${answer.status}: ${said}`,
      isBusy ? retrySecondsOf(answer.headers.get('retry-after')) : null,
    );
  }
  const reply = Completion.safeParse(jsonOf(text)).data?.choices[0]?.message.content?.trim();
  if (!reply) throw new ChatError('the model answered without a text');
  return reply;
}

function retrySecondsOf(header: string | null): number {
  if (header === null || !/^\d{1,6}$/.test(header)) return RETRY_SECONDS_DEFAULT;
  return Math.min(RETRY_SECONDS_MAX, Math.max(1, Number(header)));
}

/** As often as the model asks for it, until the signal gives it up. */
export async function completeChatPatiently(ask: ChatAsk): Promise<string> {
  for (;;) {
    try {
      return await completeChat(ask);
    } catch (error) {
      if (!(error instanceof ChatError) || error.retrySeconds === null || ask.signal.aborted) throw error;
      await pause(error.retrySeconds * 1000, undefined, { signal: ask.signal });
    }
  }
}

async function boundedText(answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX)
      throw new ChatError(`the model answered with more than ${ANSWER_BYTES_MAX} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // Not JSON: no completion, which the caller says.
  }
}
