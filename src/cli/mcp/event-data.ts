/** The data of server-sent events (WHATWG HTML, section 9.2.6), of a stream that need not be resumed: ids and names are passed over. */

/** `charactersMax`: of what may be gathered before an event ends; a stream that goes beyond it is no stream of ours. */
export async function* readEventData(
  texts: AsyncIterable<string>,
  charactersMax: number,
): AsyncGenerator<string> {
  const event = new EventLines();
  let rest = '';
  for await (const text of texts) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const data = event.push(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (data !== null) yield data;
    }
    if (event.characters + rest.length > charactersMax) throw new Error('an event of the answer is too long');
  }
}

class EventLines {
  #data: string[] = [];
  characters = 0;

  /** The data of the event that this line ends; null: it ends none, or one without data. */
  push(line: string): string | null {
    if (line.startsWith('data:')) {
      this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      this.characters += line.length;
    }
    if (line !== '' || this.#data.length === 0) return null;
    const data = this.#data.join('\n');
    this.#data = [];
    this.characters = 0;
    return data;
  }
}
