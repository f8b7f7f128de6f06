#!/usr/bin/env bash
# The whole circle on real servers, with kill -9 of the training worker and of the inference worker in the middle.
#   dotnet run --project tests/QueueMaaS.TestServers -c Release -- exec bash docs/runs/kill-a-worker.sh IMAGES.zip
set -euo pipefail
zip=$(realpath "$1") program=src/QueueMaaS/bin/Release/net10.0/QueueMaaS.dll api=http://127.0.0.1:8085
work=$(mktemp -d) database=kill_$$
export Bus__RabbitMq=$QUEUEMAAS_TEST_RABBITMQ Storage__Redis=$QUEUEMAAS_TEST_REDIS Storage__DataFolder=$work/data Jobs__TrainingLease=00:00:06 Jobs__Lease=00:00:05
export Storage__PostgreSql="$QUEUEMAAS_TEST_POSTGRES;Database=$database"
trap 'kill -9 $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

say() { printf '\n[%s] %s\n' "$(date +%T)" "$*"; }
field() { node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>{const v=process.argv[1].split(".").reduce((o,k)=>o?.[k],JSON.parse(t));console.log(typeof v==="object"?JSON.stringify(v):v)})' "$1"; }
post() { curl -sS -H 'content-type: application/json' -d "$2" "$api/v1/jobs$1"; }
serve() { Urls=$2 dotnet "$program" serve --roles "$1" & }
history() {
  curl -sS "$api/v1/jobs/$1/history" | node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>{for(const e of JSON.parse(t))if(e.type!=="progress")console.log(`   ${e.at.slice(11,23)}  ${e.type.padEnd(10)} attempt ${e.attempt}  ${e.reason??""}`)})'
}

say "migrate, then one API process, one training worker, one inference worker"
dotnet "$program" migrate
serve api,notify "$api"
serve training http://127.0.0.1:8086; trainer=$!
serve inference http://127.0.0.1:8087; inferer=$!
until curl -sf "$api/health/ready" >/dev/null; do sleep 0.5; done
curl -sS "$api/health/ready"; echo

say "upload $(basename "$zip")"
curl -sS -T "$zip" "$api/v1/datasets/pictures" | field card.splits

say "training job over HTTP; the worker is killed after its first epoch"
job=$(post "" '{"kind":"training","input":{"model":"pictures","dataset":"pictures","epochs":4,"limit":8000}}' | field id)
until [ "$(curl -sS "$api/v1/jobs/$job" | field progress.history.length)" = 1 ]; do sleep 0.2; done
kill -9 "$trainer"; say "kill -9 $trainer"
serve training http://127.0.0.1:8088
curl -sS "$api/v1/jobs/$job?wait=60" >/dev/null
until [ "$(curl -sS "$api/v1/jobs/$job?wait=60" | field state)" = succeeded ]; do :; done
history "$job"
curl -sS "$api/v1/jobs/$job" | field output.validationAccuracy
say "versions of the model registered: $(curl -sS "$api/v1/models/pictures/versions" | field items.length)"

say "batch job over 20,000 images; the inference worker is killed in the middle"
job=$(post "" '{"kind":"batch","input":{"model":"pictures","dataset":"pictures","limit":20000,"chunkSize":500}}' | field id)
until [ "$(curl -sS "$api/v1/jobs/$job" | field progress.chunksDone)" -ge 5 ] 2>/dev/null; do sleep 0.1; done
curl -sS "$api/v1/jobs/$job" | field progress
kill -9 "$inferer"; say "kill -9 $inferer"
serve inference http://127.0.0.1:8089
until [ "$(curl -sS "$api/v1/jobs/$job?wait=60" | field state)" = succeeded ]; do :; done
history "$job"
for part in items succeeded failed accuracy; do printf '   %s: ' "$part"; curl -sS "$api/v1/jobs/$job" | field "output.$part"; done
file=$(curl -sS "$api/v1/jobs/$job" | field output.outputArtifact)
curl -sS "$api/v1/artifacts/$file" -o "$work/out.jsonl"
say "lines in the output file: $(wc -l < "$work/out.jsonl"), different ids: $(node -e 'const s=new Set(require("fs").readFileSync(process.argv[1],"utf8").trim().split("\n").map(l=>JSON.parse(l).id));console.log(s.size)' "$work/out.jsonl")"
