"""Publishes jobs first and waits for all results after: burst.py JOBS. Prints jobs a second from the first publish to the last result."""
import os
import random
import sys
import time

from tasks import infer

jobs = int(sys.argv[1])
row = [round(random.random(), 4) for _ in range(784 if os.environ.get("BENCH_MODEL", "mlp") == "mlp" else 3072)]
infer.delay(row).get(timeout=60)
start = time.monotonic()
results = [infer.delay(row) for _ in range(jobs)]
for result in results:
    result.get(timeout=600)
print(f"{jobs / (time.monotonic() - start):.0f}")
