/** Binds the routes of lanes. */
import {
  createLaneKey,
  deleteLane,
  drainLane,
  getLane,
  type Lane,
  listLanes,
  patchLane,
  pauseLane,
  putLane,
  resumeLane,
} from '../../../contract/lanes.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import type { KeyService } from '../auth/service.ts';
import type { BoardService } from '../boards/service.ts';
import type { LaneService } from './service.ts';

const CALLER = 'routes of lanes are not open';

const withTag = (status: number, lane: Lane) => ({
  status,
  body: { lane },
  headers: { ETag: `"${lane.version}"` },
});

interface LaneRoutes {
  readonly lanes: LaneService;
  readonly boards: BoardService;
  readonly keys: KeyService;
  readonly idempotency: Idempotency;
}

export function bindLaneRoutes(bind: Bind, { lanes, boards, keys, idempotency }: LaneRoutes): void {
  bind(putLane, async ({ caller, params, body }) => {
    const { lane, isNew } = await lanes.put(
      present(caller, CALLER),
      await boards.resolve(params.board),
      params.lane,
      body,
    );
    return withTag(isNew ? 201 : 200, lane);
  });
  bind(listLanes, async ({ params, query }) => {
    const rows = pageRows(query);
    const scope = `lanes ${params.board}`;
    const after = readPageToken(query.page_token, scope, 1)?.[0] ?? null;
    const found = await lanes.list(await boards.resolve(params.board), after, rows + 1);
    return {
      status: 200,
      body: {
        lanes: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, scope, (lane) => [lane.name]),
      },
    };
  });
  bind(getLane, async ({ params }) =>
    withTag(200, await lanes.get(await boards.resolve(params.board), params.lane)),
  );
  bind(patchLane, async ({ caller, params, body, ifMatchVersion }) =>
    withTag(
      200,
      await lanes.patch(
        present(caller, CALLER),
        await boards.resolve(params.board),
        params.lane,
        ifMatchVersion,
        body,
      ),
    ),
  );
  bind(deleteLane, async ({ caller, params }) => {
    await lanes.delete(present(caller, CALLER), await boards.resolve(params.board), params.lane);
    return { status: 204 };
  });
  for (const [route, to] of [
    [pauseLane, 'pause'],
    [resumeLane, 'resume'],
    [drainLane, 'drain'],
  ] as const) {
    bind(route, async ({ caller, params }) =>
      withTag(
        200,
        await lanes.switch(present(caller, CALLER), await boards.resolve(params.board), params.lane, to),
      ),
    );
  }
  bind(createLaneKey, async (exchange) => {
    const { board, lane } = exchange.params;
    const ref = await boards.resolve(board);
    await lanes.get(ref, lane);
    return idempotency.run(exchange, ref.id, async (tx) => {
      await lanes.hold(tx, ref, lane);
      const issued = await keys.issueForLane(tx, exchange.caller, { board, lane }, exchange.body);
      return { status: 201, body: issued, remembered: { key: issued.key } };
    });
  });
}
