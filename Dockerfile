# Two stages, so that neither compiler nor test tool ships. The image holds the server and the `lanekeeper` command. How it is run, and what
# to mind: docs/deploy.md.

# A release line with long-term support, until April 2028. The oldest Node that the server runs on, which the tests run on, gets no more
# patches (Node 20, since April 2026), and what faces a network needs them.
ARG NODE_VERSION=24

FROM node:${NODE_VERSION}-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts are not needed: the bundler's binary is an optional dependency, and no Postgres runs in here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build \
 && npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:${NODE_VERSION}-slim
LABEL org.opencontainers.image.title="Lanekeeper" \
      org.opencontainers.image.description="A control plane for persistent worker lanes over Postgres" \
      org.opencontainers.image.licenses="MIT"
# The database is another container (DATABASE_URL); /data keeps the admin key that the first start makes.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=7420 \
    LANEKEEPER_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json /app/openapi.yaml /app/LICENSE /app/THIRD_PARTY_LICENSES.txt ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/drizzle drizzle
COPY --from=build /app/bin bin
COPY --from=build /app/dist dist
# Nothing of npm is needed any more, and what is not there needs no patches.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-* /usr/local/bin/yarn /usr/local/bin/yarnpkg \
 && ln -s /app/bin/lanekeeper.js /usr/local/bin/lanekeeper \
 && mkdir /data \
 && chown node:node /data
USER node
VOLUME /data
EXPOSE 7420
# Alive, not ready: what is unhealthy is restarted by some platforms, and a restart brings no database back. It answers only once the
# server is up.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The server is the main process itself, so the stop signal reaches it and it can drain; it starts no others that would have to be reaped.
STOPSIGNAL SIGTERM
# Room for young objects: a server makes many that live for one request, and with the default 1 MiB to start from a fifth of its time
# went into collecting them.
CMD ["node", "--min-semi-space-size=16", "--max-semi-space-size=32", "bin/lanekeeper.js", "serve"]
