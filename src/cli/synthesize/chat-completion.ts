/** Asks a model for one answer, over the chat completions protocol that most of them speak. */
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

export class ChatError extends Error {
  override readonly name = 'ChatError';
  /** The model has too much to do: later it may answer. */
  readonly isRateLimit: boolean;

  constructor(message: string, isRateLimit = false) {
    super(message);
    this.isRateLimit = isRateLimit;
  }
}

/** A reply of a thousand words with all that stands around it, many times over. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Of what a model says it cannot do. */
const ERROR_CHARACTERS_MAX = 500;

const TOO_MANY_REQUESTS = 429;

const Completion = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).min(1),
});

/** Rejects with ChatError, or with what the network says. */
export async function completeChat(ask: ChatAsk): Promise<string> {
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
    throw new ChatError(`the model answered ${answer.status}: ${said}`, answer.status === TOO_MANY_REQUESTS);
  }
  const reply = Completion.safeParse(jsonOf(text)).data?.choices[0]?.message.content?.trim();
  if (!reply) throw new ChatError('the model answered without a text');
  return reply;
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
