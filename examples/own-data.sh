#!/usr/bin/env bash
# Your own data in five commands: a table (CSV, Parquet), texts (JSON Lines) or images (a zip of train/<class>/*.jpg) in, a model and its report out.
#
#   queuemaas serve &                                   # or: dotnet run --project src/QueueMaaS -c Release -- serve
#   examples/own-data.sh FILE [MINUTES]
#
# QUEUEMAAS_URL: where the service is (http://127.0.0.1:8080). QUEUEMAAS_API_KEY: a key, where it asks for one.
set -euo pipefail
file=$1 minutes=${2:-5} url=${QUEUEMAAS_URL:-http://127.0.0.1:8080} id=own-$(date +%s)
# Asks the service. What it says where it refuses goes to standard error, wherever the answer goes.
ask() {
  local answer
  answer=$(curl --silent --show-error --fail-with-body ${QUEUEMAAS_API_KEY:+-H "X-Api-Key: $QUEUEMAAS_API_KEY"} -H 'Content-Type: application/json' "$@") || { printf '%s\n' "$answer" >&2; return 1; }
  printf '%s\n' "$answer"
}
# Waits for a job's end, and says why where it did not succeed.
wait_for() {
  local job
  until job=$(ask "$url/v1/jobs/$1?wait=30") || exit 1; grep -qE '"state":"(succeeded|failed|cancelled|expired)"' <<<"$job"; do printf . >&2; done
  grep -q '"state":"succeeded"' <<<"$job" || { printf '\n%s\n' "$job" >&2; exit 1; }
}

ask -T "$file" -H 'Content-Type: application/octet-stream' "$url/v1/datasets/$id" >/dev/null                                                     # 1. the data
ask "$url/v1/jobs" -d '{"id":"'"$id"'","kind":"sweep","input":{"training":{"dataset":"'"$id"'"},"search":{"method":"auto","minutes":'"$minutes"'},"register":"'"$id"'"}}' >/dev/null   # 2. a model, with what suits the data
wait_for "$id"; ask "$url/v1/jobs/$id/leaderboard?limit=3"; echo                                                                            # 3. what was tried
ask "$url/v1/jobs" -d '{"id":"'"$id"'-eval","kind":"evaluation","input":{"model":"'"$id"'","dataset":"'"$id"'"}}' >/dev/null; wait_for "$id-eval"   # 4. how good it is
ask "$url/v1/jobs/$id-eval/report" >"report-$id.html"                                                                                       # 5. the page
echo "model $id, report: report-$id.html"
