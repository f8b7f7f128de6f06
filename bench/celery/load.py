"""Sends jobs and waits for their results, so many at a time: load.py CALLERS SECONDS. Prints jobs a second."""
import sys
import threading
import time

from tasks import infer, row

callers, seconds = int(sys.argv[1]), float(sys.argv[2])
infer.delay(row).get(timeout=60)
counts = [0] * callers
stop = time.monotonic() + seconds


def call(index):
    while time.monotonic() < stop:
        infer.delay(row).get(timeout=60)
        counts[index] += 1


threads = [threading.Thread(target=call, args=(i,)) for i in range(callers)]
start = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sum(counts) / (time.monotonic() - start):.0f}")
