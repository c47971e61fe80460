#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, in ./secrets: random, each once, never overwritten. There are no default passwords.
# The directory is its owner's alone; the files in it are readable, because the accounts inside of the containers are others than yours.
set -eu
directory=${1:-secrets}

mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"

# 32 random bytes in hex: letters and digits, so that a password may stand in a URL.
random() {
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# Of two that start at once, one writes the file.
make() {
  if (set -C && printf '%s\n' "$2" >"$1") 2>/dev/null; then
    chmod 644 "$1"
    echo "made $directory/$1"
  else
    echo "kept $directory/$1"
  fi
}

make postgres-password "$(random)"
make database-url "postgres://lanekeeper:$(cat postgres-password)@postgres:5432/lanekeeper"
make admin-key "$(random)"
make lanekeeper-secret "$(random)"
