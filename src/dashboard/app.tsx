/** The whole app: who is signed in, which board, which page. Pages other than the board are loaded when they are first opened. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense } from 'react';
import { Redirect, Route, Router, Switch, useLocation, useParams } from 'wouter';
import { BoardPage } from './board/board-page.tsx';
import { BulkProvider } from './board/bulk-context.tsx';
import { ShortcutsProvider } from './keyboard/shortcuts.tsx';
import { LiveBoardProvider } from './live/live-context.tsx';
import { SessionProvider } from './session/session-context.tsx';
import { decodedPart, linkToPage, withoutEndingSlash } from './shell/links.ts';
import { Shell } from './shell/shell.tsx';
import { useBoards } from './shell/use-boards.ts';
import { AskProvider } from './ui/ask.tsx';
import { EmptyState } from './ui/empty-state.tsx';
import { ErrorBoundary } from './ui/error-boundary.tsx';
import { NoticesProvider } from './ui/notices.tsx';
import { Problem } from './ui/problem.tsx';

const LanesPage = lazy(async () => ({ default: (await import('./lanes/lanes-page.tsx')).LanesPage }));
const TaskPage = lazy(async () => ({ default: (await import('./task/task-page.tsx')).TaskPage }));
const AttentionPage = lazy(async () => ({
  default: (await import('./attention/attention-page.tsx')).AttentionPage,
}));
const DelegationsPage = lazy(async () => ({
  default: (await import('./delegations/delegations-page.tsx')).DelegationsPage,
}));
const DelegationPage = lazy(async () => ({
  default: (await import('./delegations/delegation-page.tsx')).DelegationPage,
}));
const DeliveriesPage = lazy(async () => ({
  default: (await import('./deliveries/deliveries-page.tsx')).DeliveriesPage,
}));
const ActivityPage = lazy(async () => ({
  default: (await import('./activity/activity-page.tsx')).ActivityPage,
}));
const ChartsPage = lazy(async () => ({ default: (await import('./charts/charts-page.tsx')).ChartsPage }));
const KeysPage = lazy(async () => ({ default: (await import('./keys/keys-page.tsx')).KeysPage }));

/**
 * The client repeats what can be repeated; a second layer of retries would only delay the message. A machine without a network still
 * reaches a server of its own.
 */
const queries = new QueryClient({
  defaultOptions: {
    queries: { retry: false, staleTime: 0, networkMode: 'always' },
    mutations: { networkMode: 'always' },
  },
});

export function App(): ReactNode {
  return (
    <QueryClientProvider client={queries}>
      <NoticesProvider>
        <AskProvider>
          <ShortcutsProvider>
            <SessionProvider>
              <BulkProvider>
                <Router aroundNav={(go, address, options) => go(withoutEndingSlash(address), options)}>
                  <Switch>
                    <Route path="/boards/:board" nest>
                      <OnBoard />
                    </Route>
                    <Route>
                      <FirstBoard />
                    </Route>
                  </Switch>
                </Router>
              </BulkProvider>
            </SessionProvider>
          </ShortcutsProvider>
        </AskProvider>
      </NoticesProvider>
    </QueryClientProvider>
  );
}

/** The address names no board: the first that the key may see. */
function FirstBoard(): ReactNode {
  const { data, error } = useBoards();
  if (error !== null) return <Problem error={error} />;
  if (data === undefined) return null;
  const board = data.boards.find(({ name }) => name === 'default') ?? data.boards[0];
  if (board === undefined)
    return (
      <EmptyState
        title="There is no board that this key may see."
        commands={['lanekeeper board create default']}
      />
    );
  return <Redirect to={linkToPage(board.name, 'board')} replace />;
}

function OnBoard(): ReactNode {
  const { board = 'default' } = useParams();
  const name = decodedPart(board);
  const [page] = useLocation();
  return (
    <LiveBoardProvider key={name} name={name}>
      <Shell>
        <ErrorBoundary key={page}>
          <Suspense fallback={<p className="centered muted">Loading …</p>}>
            <Switch>
              <Route path="/" component={BoardPage} />
              <Route path="/lanes" component={LanesPage} />
              <Route path="/tasks/:task">
                {({ task }) => <TaskPage key={task} id={decodedPart(task)} />}
              </Route>
              <Route path="/attention" component={AttentionPage} />
              <Route path="/delegations" component={DelegationsPage} />
              <Route path="/delegations/:delegation">
                {({ delegation }) => <DelegationPage key={delegation} id={delegation} />}
              </Route>
              <Route path="/deliveries" component={DeliveriesPage} />
              <Route path="/activity" component={ActivityPage} />
              <Route path="/charts" component={ChartsPage} />
              <Route path="/keys" component={KeysPage} />
              <Route>
                <EmptyState title="There is no such page." />
              </Route>
            </Switch>
          </Suspense>
        </ErrorBoundary>
      </Shell>
    </LiveBoardProvider>
  );
}
