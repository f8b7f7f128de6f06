"""The same job for Celery: one row through a model in PyTorch, the result in Redis. BENCH_MODEL: mlp (784-128-10, the default) or cnn-small (3 × 32 × 32), as in bench/QueueMaaS.Bench/BenchGraphs.cs. BENCH_FORM: numbers (the default) or base64 of their bytes."""
import base64
import math
import os
import random
import struct

import torch
from celery import Celery
from torch import nn

torch.set_num_threads(1)
app = Celery("bench", broker=os.environ["CELERY_BROKER"], backend=os.environ["CELERY_BACKEND"])
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], task_ignore_result=False, worker_prefetch_multiplier=64, result_expires=600)
if os.environ.get("BENCH_MODEL", "mlp") == "mlp":
    shape = [784]
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
else:
    shape = [3, 32, 32]
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10))
model.eval()
# What is sent: as many digits as `queuemaas perf` sends.
row = [round(random.random(), 4) for _ in range(math.prod(shape))]
if os.environ.get("BENCH_FORM", "numbers") == "base64":
    row = base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()
with torch.inference_mode():
    model(torch.zeros([1, *shape]))


@app.task
def infer(row):
    with torch.inference_mode():
        tensor = torch.frombuffer(bytearray(base64.b64decode(row)), dtype=torch.float32) if isinstance(row, str) else torch.tensor([row])
        return model(tensor.reshape([1, *shape])).tolist()
