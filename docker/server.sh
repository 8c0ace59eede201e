#!/bin/sh
# A server in a container: made at the first start, then run in the foreground.
#   ISTHMUS_HOME       its folder, on a volume
#   ISTHMUS_NAME       the federation's name
#   ISTHMUS_HOSTS      names under which platforms reach it, with spaces between them
#   ISTHMUS_DATABASE   URL of the state without a password; empty = SQLite in the folder
#   ISTHMUS_DATABASE_PASSWORD_FILE   a secret's file; PGPASSFILE then names a file to write
#   ISTHMUS_PORTS      `free` = ports that are free now, for a try beside another server
set -eu
umask 077

home=${ISTHMUS_HOME:-/var/lib/isthmus/isthmus-server}
if [ -n "${ISTHMUS_DATABASE_PASSWORD_FILE:-}" ]; then
  # In libpq's form, where `\` and `:` are escaped.
  printf '*:*:*:*:%s\n' "$(sed 's/[\\:]/\\&/g' "$ISTHMUS_DATABASE_PASSWORD_FILE")" >"$PGPASSFILE"
fi
if [ ! -e "$home/server.toml" ]; then
  set -- --name "${ISTHMUS_NAME:-isthmus}"
  for host in ${ISTHMUS_HOSTS:-localhost 127.0.0.1}; do
    set -- "$@" --host "$host"
  done
  if [ -n "${ISTHMUS_DATABASE:-}" ]; then
    set -- "$@" --database "$ISTHMUS_DATABASE"
  fi
  if [ "${ISTHMUS_PORTS:-}" = free ]; then
    set -- "$@" --free-ports
  fi
  isthmus server init "$home" "$@" --json
fi
exec isthmus server up --home "$home" --json
