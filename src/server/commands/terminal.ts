/** What a person sees of the server's commands: answers on stdout, complaints on stderr. */
export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const complain = (text: string): void => void process.stderr.write(`lanekeeper: ${text}\n`);

export const EXIT = { ok: 0, error: 1, usage: 2, interrupted: 130 } as const;
