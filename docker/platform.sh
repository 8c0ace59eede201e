#!/bin/sh
# A platform in a container: keys, store and membership at the first start, then its two processes.
#   ISTHMUS_PLATFORM     its folder, on a volume; platform.toml and tables may be there already
#   ISTHMUS_NAME         its name
#   ISTHMUS_TABLES       folder of events.csv and items.csv to begin with; empty = those in the folder
#   ISTHMUS_TOKEN_FILE   the operator's invitation, a secret's file
#   ISTHMUS_POLICY       a policy that approves runs unattended; empty = a person approves each
set -eu

folder=${ISTHMUS_PLATFORM:-/var/lib/isthmus/platform}
contract=$folder/platform.toml
if [ ! -e "$folder/keys" ]; then
  isthmus client init "$folder" ${ISTHMUS_NAME:+--name "$ISTHMUS_NAME"}
fi
if [ -n "${ISTHMUS_TABLES:-}" ]; then
  cp "$ISTHMUS_TABLES/events.csv" "$ISTHMUS_TABLES/items.csv" "$folder/"
fi
isthmus client ingest --platform "$contract"
if [ ! -e "$folder/federation/certificate.pem" ]; then
  isthmus client join "$(cat "$ISTHMUS_TOKEN_FILE")" --platform "$contract" --wait
fi
exec isthmus client up --platform "$contract" ${ISTHMUS_POLICY:+--auto-approve "$ISTHMUS_POLICY"} --json
