#!/bin/sh
# Bring the federation of compose.yaml up on this machine: secrets, server, invitations, platforms,
# approvals. The same command again goes on where it stopped.
# Usage: docker/compose.sh [PLATFORM...]
#   ISTHMUS_COMPOSE   the command, `docker compose` with its files
#   ISTHMUS_SECRETS   the folder that compose.yaml takes secrets from
set -eu
umask 077

here=$(dirname "$0")
secrets=${ISTHMUS_SECRETS:-$here/secrets}
if [ $# = 0 ]; then
  set -- alder birch cedar
fi

compose() {
  # Several words: a program and its options.
  # shellcheck disable=SC2086
  ${ISTHMUS_COMPOSE:-docker compose --file "$here/compose.yaml"} "$@"
}

# The first such field of indented JSON; its value is a text without escapes.
field() {
  sed -n '/"'"$1"'": "/{s/.*: "\([^"]*\)".*/\1/p;q;}'
}

# Write standard input to a secret's file at once or not at all; services of other users read it.
keep() {
  cat >"$secrets/.$1.new"
  chmod 0444 "$secrets/.$1.new"
  mv "$secrets/.$1.new" "$secrets/$1"
}

fresh() {
  [ -e "$secrets/$1" ] || head -c 32 /dev/urandom | base64 | tr -d '\n' | keep "$1"
}

wait_for() {
  left=300
  until compose exec -T "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" = 0 ]; then
      echo "gave up waiting for: $*" >&2
      compose exec -T "$@"
      exit 1
    fi
    sleep 1
  done
}

mkdir -p "$secrets"
fresh database_password
for platform in "$@"; do
  fresh "${platform}_passphrase"
done

compose up -d database server
wait_for server server-ready.sh

for platform in "$@"; do
  if [ ! -s "$secrets/${platform}_invitation" ]; then
    compose exec -T server isthmus server invite "$platform" --json | field code \
      | keep "${platform}_invitation"
  fi
done
compose up -d "$@"

for platform in "$@"; do
  # On one machine the operator can ask the platform itself. Else its engineer tells the operator
  # the fingerprint by another way, such as by telephone.
  wait_for "$platform" test -e federation/server.json
  fingerprint=$(compose exec -T "$platform" isthmus client status --json | field fingerprint)
  compose exec -T server isthmus server approve "$platform" --fingerprint "$fingerprint" --json
  wait_for "$platform" platform-ready.sh
done
