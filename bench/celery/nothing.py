"""The job that does nothing for Celery, its result in Redis: what comes and goes is the same as in `QueueMaaS.JobBench peers`."""
import os

from celery import Celery

app = Celery("nothing", broker=os.environ["CELERY_BROKER"], backend=os.environ["CELERY_BACKEND"])
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], task_ignore_result=False, worker_prefetch_multiplier=64, task_acks_late=True, result_expires=600, task_default_queue="nothing")


@app.task
def nothing():
    return {"done": True}
