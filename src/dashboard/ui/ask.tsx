/**
 * Questions before an action: a reason, a lane, a time, or only "are you sure". One dialog at a time, the platform's own, which keeps the
 * focus in it and gives it back. `useAsk()` resolves to what was entered, by name, or to null when the person changed their mind.
 */
import {
  createContext,
  type FormEvent,
  type ReactNode,
  useCallback,
  useContext,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { Button } from './button.tsx';
import { onEscape } from './escape.ts';
import type { Answers, Ask, AskField, Question } from './question.ts';

const AskContext = createContext<Ask | null>(null);

export function useAsk(): Ask {
  const ask = useContext(AskContext);
  if (ask === null) throw new Error('useAsk is used outside of its provider');
  return ask;
}

/** Of a question: each has a dialog of its own. */
let lastId = 0;

interface Asked {
  readonly id: number;
  readonly question: Question;
  readonly answer: (answers: Answers | null) => void;
}

export function AskProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [asked, setAsked] = useState<Asked | null>(null);
  const open = useRef<Asked | null>(null);
  const ask = useCallback<Ask>(
    (question) =>
      new Promise((resolve) => {
        open.current?.answer(null);
        lastId += 1;
        const id = lastId;
        const answer = (answers: Answers | null): void => {
          resolve(answers);
          // Another question may have taken its place.
          if (open.current?.id !== id) return;
          open.current = null;
          setAsked(null);
        };
        open.current = { id, question, answer };
        setAsked(open.current);
      }),
    [],
  );
  return (
    <AskContext value={ask}>
      {children}
      {asked !== null && <AskDialog key={asked.id} {...asked} />}
    </AskContext>
  );
}

function AskDialog({ question, answer }: Omit<Asked, 'id'>): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Closed before it is taken out of the page: only then does the focus go back to where it was.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const fields = question.fields ?? [];
    answer(Object.fromEntries(fields.map((field) => [field.name, answerOf(field, data)])));
  };
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={titleId}
      onKeyDown={onEscape(() => answer(null))}
      onCancel={(event) => {
        event.preventDefault();
        answer(null);
      }}
    >
      <form onSubmit={submit}>
        <h2 id={titleId}>{question.title}</h2>
        {question.text !== undefined && <div className="dialog-text">{question.text}</div>}
        {question.fields?.map((field) => (
          <Field key={field.name} field={field} />
        ))}
        <div className="dialog-buttons">
          <Button onClick={() => answer(null)}>Keep as it is</Button>
          <Button type="submit" tone={question.isDestructive ? 'danger' : 'primary'}>
            {question.action}
          </Button>
        </div>
      </form>
    </dialog>
  );
}

function answerOf({ name, kind }: AskField, data: FormData): string {
  const value = data.get(name);
  if (typeof value !== 'string') return '';
  if (kind === 'checkbox') return 'true';
  return kind === 'datetime' && value !== '' ? new Date(value).toISOString() : value.trim();
}

function Field({ field }: { readonly field: AskField }): ReactNode {
  const id = useId();
  const { name, label, kind, initial = '', placeholder, isRequired: required = false, options = [] } = field;
  const common = { id, name, required };
  if (kind === 'checkbox') {
    return (
      <label className="check">
        <input type="checkbox" name={name} value="true" defaultChecked={initial === 'true'} /> {label}
      </label>
    );
  }
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {kind === 'textarea' && (
        <textarea {...common} rows={4} defaultValue={initial} placeholder={placeholder} />
      )}
      {kind === 'select' && (
        <select {...common} defaultValue={initial}>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
      {(kind === 'text' || kind === 'number') && (
        <input
          {...common}
          type={kind}
          defaultValue={initial}
          placeholder={placeholder}
          list={options.length > 0 ? `${id}-options` : undefined}
          autoComplete="off"
        />
      )}
      {kind === 'datetime' && <input {...common} type="datetime-local" step={1} defaultValue={initial} />}
      {kind === 'text' && options.length > 0 && (
        <datalist id={`${id}-options`}>
          {options.map(({ value }) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      )}
    </div>
  );
}
