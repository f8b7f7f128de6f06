"""Publishes jobs first and waits for all results after: burst.py JOBS. Prints jobs a second from the first publish to the last result."""
import sys
import time

from tasks import infer, row

jobs = int(sys.argv[1])
infer.delay(row).get(timeout=60)
start = time.monotonic()
results = [infer.delay(row) for _ in range(jobs)]
for result in results:
    result.get(timeout=600)
print(f"{jobs / (time.monotonic() - start):.0f}")
