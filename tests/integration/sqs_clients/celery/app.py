"""A Celery application on the SQS transport of kombu: `celery -A app worker` with these in its environment.

`SQS_ENDPOINT` is host:port of the server, `TASK_QUEUE` the queue, `EFFECTS` a file to which tasks add a line each.
"""

import os
import signal
from pathlib import Path

from celery import Celery, Task

VISIBILITY_S = 3

app = Celery("app", broker=f"sqs://any:any@{os.environ['SQS_ENDPOINT']}")
app.conf.update(
    broker_transport_options={
        "region": "us-east-1",
        "visibility_timeout": VISIBILITY_S,
        "wait_time_seconds": 5,
        "fetch_message_attributes": {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]},
    },
    task_default_queue=os.environ["TASK_QUEUE"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # An answer to remote control would take queues of its own; SQS has no fanout.
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=1,
)
effects = Path(os.environ["EFFECTS"])


def note(line: str) -> None:
    with effects.open("a") as file:
        file.write(line + "\n")


@app.task
def add(left: int, right: int) -> None:
    note(f"add {left + right}")


@app.task(bind=True, max_retries=3)
def retried(task: Task) -> None:
    """Fails twice and asks to be tried again, which is a new message with a delay each time."""
    note(f"retried {task.request.retries}")
    if task.request.retries < 2:
        raise task.retry(countdown=1)


@app.task(bind=True, autoretry_for=(ConnectionError,), retry_backoff=1, retry_jitter=False, max_retries=3)
def backed_off(task: Task) -> None:
    note(f"backed off {task.request.retries}")
    if task.request.retries < 1:
        raise ConnectionError("not yet")


@app.task
def survivor(marker: str) -> None:
    """Takes its worker down with it the first time, as a machine that loses power does."""
    if not (file := Path(marker)).exists():
        file.touch()
        note("survivor began")
        os.killpg(os.getpgrp(), signal.SIGKILL)
    note("survivor ended")
