/** A secret that the server shows this once. `secret` is undefined where the answer that held it was lost. */
import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';

interface SecretOnceProps {
  /** E.g. "Key of the lane factory". */
  readonly label: string;
  readonly secret: string | undefined;
}

export function SecretOnce({ label, secret }: SecretOnceProps): ReactNode {
  if (secret === undefined)
    return (
      <p className="problem" role="alert">
        The answer was lost on its way, and the secret with it. Revoke the key and issue another one.
      </p>
    );
  return (
    <div className="secret-once" role="status">
      <p>
        <strong>{label}</strong>: shown this once. Keep it as you would a password.
      </p>
      <div className="snippet">
        <pre className="wrap">{secret}</pre>
        <CopyButton text={secret} label="Copy secret" />
      </div>
    </div>
  );
}
