#!/usr/bin/env bash
# Create the cluster the first time, with the superuser's password from a file or a variable; then run.
set -euo pipefail
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    password=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:?set POSTGRES_PASSWORD_FILE}")}
    # shellcheck disable=SC2086 - several options in one variable, as in the real image
    initdb --username="${POSTGRES_USER:-postgres}" --pwfile=<(printf '%s\n' "$password") \
        ${POSTGRES_INITDB_ARGS:-}
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    printf "%s\n" "listen_addresses = '*'" "unix_socket_directories = '/var/run/postgresql'" \
        >> "$PGDATA/postgresql.conf"
fi
exec "$@"
