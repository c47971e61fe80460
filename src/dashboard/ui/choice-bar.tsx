/** One of a few ways to look at a list, with how many each would show. What is chosen belongs into the address: see useAddressFields. */
import type { ReactNode } from 'react';

export interface Choice {
  /** '' is the default. */
  readonly value: string;
  readonly label: string;
  /** undefined: nobody knows. */
  readonly count?: string | number | undefined;
  /** Its count is bad news unless it is 0. */
  readonly isAlarming?: boolean;
}

interface ChoiceBarProps {
  readonly label: string;
  readonly choices: readonly Choice[];
  readonly value: string;
  readonly onChoose: (value: string) => void;
}

export function ChoiceBar({ label, choices, value, onChoose }: ChoiceBarProps): ReactNode {
  return (
    <fieldset className="choice-bar">
      <legend className="visually-hidden">{label}</legend>
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          className="choice"
          aria-pressed={choice.value === value}
          onClick={() => onChoose(choice.value)}
        >
          {choice.label}
          {choice.count !== undefined && (
            <span
              className={choice.isAlarming && choice.count !== 0 ? 'choice-count alarming' : 'choice-count'}
            >
              {choice.count}
            </span>
          )}
        </button>
      ))}
    </fieldset>
  );
}
