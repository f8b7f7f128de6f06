#!/usr/bin/env bash
# The peer of `queuemaas perf --rabbitmq`: Celery with PyTorch on the same RabbitMQ and Redis. Needs Debian's celery, python3-redis and python3-torch.
#   [BENCH_MODEL=cnn-small] [BENCH_FORM=base64] RABBITMQ=amqp://user:password@host:5672/ REDIS=redis://:password@host:6379/0 bench/celery/run.sh [workers, default 2] [seconds, default 10]
set -euo pipefail
cd "$(dirname "$0")"
: "${RABBITMQ:?set it to amqp://user:password@host:5672/}" "${REDIS:?set it to redis://:password@host:6379/0}"
export CELERY_BROKER="${RABBITMQ/#amqp:/pyamqp:}" CELERY_BACKEND="$REDIS"
CELERY_BROKER="${CELERY_BROKER%/}"
python=${PYTHON:-/usr/bin/python3}
"$python" -m celery -A tasks worker --concurrency "${1:-2}" --loglevel ERROR >/dev/null 2>&1 &
worker=$!
trap 'kill $worker 2>/dev/null; wait $worker 2>/dev/null || true' EXIT
for callers in 1 16 64; do
    echo "$callers callers: $("$python" load.py $callers "${2:-10}") jobs/s"
done
echo "3000 jobs at once: $("$python" burst.py 3000) jobs/s"
