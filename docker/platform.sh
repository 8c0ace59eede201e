#!/bin/sh
# A platform in a container: keys and store at the first start, what is new in its tables at each
# start, membership once the operator has approved it, then its two processes in the foreground.
#   ISTHMUS_PLATFORM          its folder, on a volume
#   ISTHMUS_NAME              its name
#   ISTHMUS_CONTRACT          its platform.toml, copied into the folder at each start; tables that it
#                             names by whole paths are mounted read-only
#   ISTHMUS_EXAMPLE           `yes` = begin with two small example tables instead
#   ISTHMUS_INVITATION_FILE   the operator's invitation, a secret's file; read until it has joined
#   ISTHMUS_PASSPHRASE_FILE   protects the platform's key, a secret's file; empty = nothing does
#   ISTHMUS_POLICY            approves runs unattended; empty = a person approves each
#   ISTHMUS_RUN               folder in memory, for a copy of the passphrase that is ours alone
set -eu
umask 077

folder=${ISTHMUS_PLATFORM:-/var/lib/isthmus}
contract=$folder/platform.toml
if [ -n "${ISTHMUS_PASSPHRASE_FILE:-}" ]; then
  # A secret that was mounted has its owner and mode from outside; ours must be nobody else's.
  passphrase=${ISTHMUS_RUN:-/run/isthmus}/passphrase
  cat "$ISTHMUS_PASSPHRASE_FILE" >"$passphrase"
  set -- --passphrase-file "$passphrase"
else
  set --
fi

if [ ! -e "$contract" ]; then
  example=
  if [ "${ISTHMUS_EXAMPLE:-}" = yes ]; then
    example=--example
  fi
  isthmus client init "$folder" ${ISTHMUS_NAME:+--name "$ISTHMUS_NAME"} $example "$@" --json
fi
if [ -n "${ISTHMUS_CONTRACT:-}" ]; then
  cp "$ISTHMUS_CONTRACT" "$contract.new"
  mv "$contract.new" "$contract"
fi
isthmus client ingest --platform "$contract" "$@" --json
if [ ! -e "$folder/federation/certificate.pem" ]; then
  isthmus client join --token-file "$ISTHMUS_INVITATION_FILE" --platform "$contract" \
    --wait "$@" --json
fi
if [ -n "${ISTHMUS_POLICY:-}" ]; then
  set -- "$@" --auto-approve "$ISTHMUS_POLICY"
fi
exec isthmus client up --platform "$contract" "$@" --json
