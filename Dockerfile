# Two stages, so that neither compiler nor test tool ships. The image holds the server and the `lanekeeper` command.

FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts are not needed: the bundler's binary is an optional dependency, and no Postgres runs in here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build \
 && npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:20-slim
# The database is another container (DATABASE_URL); /data keeps the admin key that the first start makes.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=7420 \
    LANEKEEPER_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json /app/openapi.yaml /app/LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/drizzle drizzle
COPY --from=build /app/bin bin
COPY --from=build /app/dist dist
RUN ln -s /app/bin/lanekeeper.js /usr/local/bin/lanekeeper \
 && mkdir /data \
 && chown node:node /data
USER node
VOLUME /data
EXPOSE 7420
# Ready, not just alive: without its database the server cannot do its job.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The server is the main process itself, so the stop signal reaches it and it can drain.
# Room for young objects: a server makes many that live for one request, and with the default 1 MiB to start from a fifth of its time
# went into collecting them.
CMD ["node", "--min-semi-space-size=16", "--max-semi-space-size=32", "bin/lanekeeper.js", "serve"]
