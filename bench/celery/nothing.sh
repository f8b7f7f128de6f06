#!/usr/bin/env bash
# Jobs that do nothing through Celery, two workers: prints jobs a second from the first publish to the last result. Needs Debian's celery and python3-redis.
#   RABBITMQ=amqp://user:password@host:5672/ REDIS=redis://:password@host:6379/0 bench/celery/nothing.sh JOBS
set -euo pipefail
cd "$(dirname "$0")"
: "${RABBITMQ:?set it to amqp://user:password@host:5672/}" "${REDIS:?set it to redis://:password@host:6379/0}"
export CELERY_BROKER="${RABBITMQ/#amqp:/pyamqp:}" CELERY_BACKEND="$REDIS"
CELERY_BROKER="${CELERY_BROKER%/}"
python=${PYTHON:-/usr/bin/python3}
"$python" -m celery -A nothing worker --concurrency 2 --loglevel ERROR >/dev/null 2>&1 &
worker=$!
trap 'kill $worker 2>/dev/null; wait $worker 2>/dev/null || true' EXIT
"$python" - "$1" <<'PYTHON'
import sys
import time

from nothing import nothing

jobs = int(sys.argv[1])
for result in [nothing.delay() for _ in range(100)]:
    result.get(timeout=60)
start = time.monotonic()
results = [nothing.delay() for _ in range(jobs)]
for result in results:
    result.get(timeout=600)
print(f"{jobs / (time.monotonic() - start):.0f}")
PYTHON
