"""The same job for Celery: one row through MLP 784-128-10 in PyTorch, the result in Redis."""
import os

import torch
from celery import Celery

torch.set_num_threads(1)
app = Celery("bench", broker=os.environ["CELERY_BROKER"], backend=os.environ["CELERY_BACKEND"])
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], task_ignore_result=False, worker_prefetch_multiplier=64, result_expires=600)
model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)).eval()


@app.task
def infer(row):
    with torch.inference_mode():
        return model(torch.tensor([row])).tolist()
