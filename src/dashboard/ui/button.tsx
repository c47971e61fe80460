/** A button that looks like one; `tone` says how much weight it has. */
import type { ButtonHTMLAttributes, ReactNode } from 'react';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly tone?: 'plain' | 'primary' | 'danger' | 'ghost';
  readonly size?: 'normal' | 'small';
}

export function Button({
  tone = 'plain',
  size = 'normal',
  className = '',
  type = 'button',
  ...rest
}: ButtonProps): ReactNode {
  return <button type={type} className={`button ${tone} ${size} ${className}`.trim()} {...rest} />;
}
