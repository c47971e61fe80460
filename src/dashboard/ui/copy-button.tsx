/** Puts a text on the clipboard; on plain HTTP, where there is none, selects it in a prompt to be copied by hand. */
import { type ReactNode, useState } from 'react';
import { Button } from './button.tsx';

interface CopyButtonProps {
  /** A function: what takes long to put together is put together when it is wanted. */
  readonly text: string | (() => string);
  /** Default: "Copy". */
  readonly label?: string;
  /** What is copied, said by screen readers where several buttons look alike. */
  readonly name?: string;
}

const SHOWN_MS = 1500;

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // navigator.clipboard is there in secure contexts only.
    window.prompt('Copy this:', text);
    return false;
  }
}

export function CopyButton({ text, label = 'Copy', name }: CopyButtonProps): ReactNode {
  const [isCopied, setCopied] = useState(false);
  const act = async (): Promise<void> => {
    if (!(await copy(typeof text === 'string' ? text : text()))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_MS);
  };
  const word = isCopied ? 'Copied' : label;
  return (
    <Button
      size="small"
      aria-label={name === undefined ? undefined : `${word} ${name}`}
      onClick={() => void act()}
    >
      {word}
    </Button>
  );
}
