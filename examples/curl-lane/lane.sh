#!/bin/sh
# A lane in curl and POSIX sh: runs a command for each task of a lane, with the claim as JSON on its stdin.
#   LANEKEEPER_TOKEN=$(npx lanekeeper lane key factory) examples/curl-lane/lane.sh factory ./build.sh
lane=$1 lease=${LEASE_SECONDS:-60} count=0 job='' dir=$(mktemp -d)
shift

# TOKEN PATH BODY [OPTION…]. Tries again what may be, when Retry-After says so. The token is in a file: anybody can see arguments.
api() {
  printf 'Authorization: Bearer %s\n' "$1" >"$dir/token"
  url=${LANEKEEPER_URL:-http://127.0.0.1:7420}/v1/$2 body=$3
  shift 3
  curl -fsS -m 40 --retry 5 --retry-connrefused --retry-max-time "$lease" -H @"$dir/token" -H 'Content-Type: application/json' "$@" -d "$body" "$url"
}
run() { grep -os '"run_id":"[^"]*' "$dir/claim" | head -n 1 | cut -d '"' -f 4; }
token() { grep -os '"token":"eyJ[^"]*' "$dir/claim" | tail -n 1 | cut -d '"' -f 4; }
# What is held is given back, which is no failure. A trap waits for the command at hand: for curl, so no claim is lost on its way to us.
trap 'trap "" TERM INT; kill $job 2>/dev/null; wait; [ -z "$(run)" ] || api "$(token)" "runs/$(run)/release" "{}"; rm -r "$dir"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# With a key, a claim whose answer was lost is answered again.
while api "$LANEKEEPER_TOKEN" "boards/${LANEKEEPER_BOARD:-default}/lanes/$lane/claims" "{\"worker\":\"${dir##*/}\",\"lease_seconds\":$lease}" \
  -H 'Prefer: wait=10' -H "Idempotency-Key: $dir-$((count += 1))" >"$dir/claim"; do
  [ "$(run)" ] || { sleep 1 && continue; }
  "$@" <"$dir/claim" >"$dir/output" 2>&1 &
  job=$! ticks=0 end=''
  while sleep 0.2 && kill -0 "$job" 2>/dev/null; do
    [ $(((ticks += 1) % (lease * 5 / 3))) = 0 ] || continue # Three times within a lease.
    beat=$(api "$(token)" "runs/$(run)/heartbeat" '{}') || end=release # The claim is lost, or the server was away for a whole lease.
    case $beat in *'"cancel_requested":true'*) end=release ;; esac
    [ -z "$end" ] || kill "$job"
  done
  wait "$job"
  code=$? said=$(tail -n 1 "$dir/output" | tr -d '\000-\037' | sed 's/[\\"]/\\&/g')
  case $end$code in release*) about=reason said=stopped ;; 0) end=complete about=summary ;; *) end=fail about=error ;; esac
  api "$(token)" "runs/$(run)/$end" "{\"$about\":\"${said:-exit code $code}\"}"
  rm "$dir/claim" # It is over.
  job=''
done >/dev/null
exit 1 # What ends the loop does not pass by itself, or has lasted: whoever keeps this running starts it again.
