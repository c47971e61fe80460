/** A text for whoever works on a task, written where it is asked for. What was refused stays to be sent again. */
import { type FormEvent, type ReactNode, type RefObject, useId, useState } from 'react';
import { Button } from '../ui/button.tsx';

interface MessageBoxProps {
  readonly label: string;
  readonly action: string;
  readonly isPending: boolean;
  readonly box?: RefObject<HTMLTextAreaElement | null>;
  /** true: it was sent. */
  readonly onSend: (text: string) => Promise<boolean>;
}

export function MessageBox({ label, action, isPending, box, onSend }: MessageBoxProps): ReactNode {
  const id = useId();
  const [text, setText] = useState('');
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (await onSend(text.trim())) setText('');
  };
  return (
    <form className="attention-message" onSubmit={(event) => void submit(event)}>
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        ref={box}
        rows={2}
        required
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur();
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
            event.currentTarget.form?.requestSubmit();
        }}
      />
      <Button type="submit" size="small" tone="primary" disabled={isPending || text.trim() === ''}>
        {action}
      </Button>
    </form>
  );
}
