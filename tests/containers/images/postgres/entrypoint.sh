#!/bin/sh
# What is given are options of the server.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres}
  printf '%s\n' "${POSTGRES_PASSWORD:?}" >/tmp/password
  initdb --pgdata "$PGDATA" --username "$user" --pwfile /tmp/password --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # On a socket only, until the database is there.
  pg_ctl --wait --options "-c listen_addresses=''" start
  if [ "${POSTGRES_DB:-$user}" != postgres ]; then psql --username "$user" --dbname postgres --command "create database \"${POSTGRES_DB:-$user}\""; fi
  pg_ctl --wait --mode fast stop
fi
exec postgres -c 'listen_addresses=*' "$@"
