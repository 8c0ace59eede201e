#!/bin/sh
# A server in a container: made at the first start, then run in the foreground.
#   ISTHMUS_HOME       its folder, on a volume
#   ISTHMUS_HOSTS      names under which platforms reach it, with spaces between them
#   ISTHMUS_DATABASE   URL of the state without a password; empty = SQLite on the volume
#   ISTHMUS_DATABASE_PASSWORD_FILE   a secret's file
set -eu

home=${ISTHMUS_HOME:-/var/lib/isthmus/server}
if [ -n "${ISTHMUS_DATABASE_PASSWORD_FILE:-}" ]; then
  PGPASSWORD=$(cat "$ISTHMUS_DATABASE_PASSWORD_FILE")
  export PGPASSWORD
fi
if [ ! -e "$home/server.toml" ]; then
  set -- "$home" --name "${ISTHMUS_NAME:-isthmus}"
  for host in ${ISTHMUS_HOSTS:-localhost 127.0.0.1}; do
    set -- "$@" --host "$host"
  done
  if [ -n "${ISTHMUS_DATABASE:-}" ]; then
    set -- "$@" --database "$ISTHMUS_DATABASE"
  fi
  isthmus server init "$@"
fi
exec isthmus server up --home "$home" --json
