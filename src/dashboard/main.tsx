/** Starts the dashboard. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import './theme/tokens.css';
import './theme/base.css';
import './theme/controls.css';
import './theme/chips.css';
import './theme/parts.css';
import './theme/dialogs.css';
import './theme/layout.css';
import { applyTheme } from './theme/theme.ts';

applyTheme();
const root = document.getElementById('root');
if (root === null) throw new Error('The page has no place for the dashboard');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
