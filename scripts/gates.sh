#!/usr/bin/env bash
# The gates of every change and of every release: `.ci/run` and `npm run release` both end up here. Every static check and test on the embedded
# Postgres 18, then the database tests once more on Postgres 15 with every table partitioned by board, but for those that
# scripts/alike-on-every-postgres.mjs names. Nothing is installed: what is missing fails, by its name.
#   --summary FILE        also writes {"passed": n, "failed": n} there
#   --postgres DIRECTORY  the programs of Postgres 15 (default: where Debian has them)
# Prints one last line `N passed, N failed` for both runs together and exits non-zero when anything failed. The README's walk is part of the e2e
# tests, so it needs no step of its own; a step that must run outside of npm belongs between "second run" and "sum" below.
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=true LANEKEEPER_REQUIRE_BROWSER=1 LANEKEEPER_REQUIRE_PROGRAMS=1
exec </dev/null

summary=
# The oldest supported major; it is what Debian 12 carries.
pg_bin=/usr/lib/postgresql/15/bin
while [ $# -gt 0 ]; do
  case $1 in
    --summary) summary=${2:?names no file} ;;
    --postgres) pg_bin=${2:?names no directory} ;;
    *)
      echo "Unknown: $1. There are --summary FILE and --postgres DIRECTORY." >&2
      exit 2
      ;;
  esac
  shift 2
done
readonly summary pg_bin

# In memory where there is enough of it: nothing here outlives the run, and disks are slow to sync.
work=$(node scripts/memory-directory.mjs $$ || true)
[ -n "$work" ] || work=$(mktemp -d "${TMPDIR:-/tmp}/lanekeeper-gates.XXXXXX")
readonly work
pg_data=

# Runs a command as the account that may run Postgres: it refuses root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

stop() {
  if [ -n "$pg_data" ] && [ -f "$pg_data/postmaster.pid" ]; then
    as_postgres "$pg_bin/pg_ctl" -D "$pg_data" -m immediate -t 20 -w stop >/dev/null || true
  fi
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Starts an empty cluster on a free loopback port and sets database_url. Checks each step itself: `set -e` does not
# hold in a function whose result is tested.
start_postgres() {
  local port
  pg_data=$work/pg15
  mkdir "$pg_data"
  if [ "$(id -u)" -eq 0 ]; then
    chmod 711 "$work"
    chown postgres: "$pg_data"
  fi
  port=$(node -e 'const s = require("net").createServer();
    s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })') || return 1
  # C.UTF-8 is there without any locale package. No fsync and no full pages: this cluster need not survive a crash.
  as_postgres "$pg_bin/initdb" -D "$pg_data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync \
    >"$work/initdb.log" 2>&1 || return 1
  as_postgres "$pg_bin/pg_ctl" -D "$pg_data" -l "$pg_data/server.log" -t 60 -w \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c full_page_writes=off -c max_connections=600" \
    start >/dev/null || return 1
  database_url=postgres://postgres@127.0.0.1:$port/postgres
}

# Sets passed and failed from a summary file of scripts/test.mjs. A run that left none has failed, as the second word says.
read_summary() {
  passed=0 failed=1
  if [ ! -s "$1" ]; then
    echo "$2" >>"$work/failures"
    return 0
  fi
  node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).failures.join("\n")' "$1" >>"$work/failures"
  read -r passed failed < <(node -p 'const s = JSON.parse(require("fs").readFileSync(process.argv[1])); s.passed + " " + s.failed' "$1")
}

echo '── first run: everything, embedded Postgres'
env -u DATABASE_URL npm test -- --summary "$work/first.json" || true
read_summary "$work/first.json" 'first run: it left no summary'
total_passed=$passed total_failed=$failed

echo "── second run: database tests, Postgres 15, tables partitioned by board"
database_url=
reason='second run: it left no summary'
if [ ! -x "$pg_bin/postgres" ]; then
  reason="second run: there is no Postgres 15 in $pg_bin (Debian: postgresql-15)"
elif start_postgres; then
  DATABASE_URL=$database_url npm test -- --only pg --other-postgres --partitioned --summary "$work/second.json" || true
else
  reason="second run: Postgres 15 of $pg_bin did not start"
  cat "$work"/*.log "$pg_data/server.log" 2>/dev/null || true
fi
read_summary "$work/second.json" "$reason"

# sum
total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
# Once more at the end, where they are seen.
sed '/^$/d; s/^/FAILED: /' "$work/failures" 2>/dev/null || true
[ -z "$summary" ] || echo "{\"passed\": $total_passed, \"failed\": $total_failed}" >"$summary"
stop
trap - EXIT
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
