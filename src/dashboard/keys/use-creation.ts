/** A form that makes something whose answer is shown this once: what was made, or why it was refused. */
import { type FormEvent, useState } from 'react';

export interface Creation<Made> {
  /** null: not yet. */
  readonly made: Made | null;
  readonly isPending: boolean;
  readonly error: unknown;
  readonly submit: (event: FormEvent<HTMLFormElement>) => Promise<void>;
}

/** `create` is given the fields of the form by name. */
export function useCreation<Made>(
  create: (entries: Readonly<Record<string, string>>) => Promise<Made>,
): Creation<Made> {
  const [made, setMade] = useState<Made | null>(null);
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setPending(true);
    setError(null);
    try {
      setMade(await create(Object.fromEntries([...data].map(([name, value]) => [name, String(value)]))));
    } catch (refused) {
      setError(refused);
    } finally {
      setPending(false);
    }
  };
  return { made, isPending, error, submit };
}
