/** The beginning of a text. Cut between the two halves of a character it would be no text that Postgres can store. */
export function excerptOf(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const last = text.charCodeAt(charactersMax - 1);
  return text.slice(0, isHighSurrogate(last) ? charactersMax - 1 : charactersMax);
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
