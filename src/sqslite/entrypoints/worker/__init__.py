"""The worker: handlers of messages, their leases kept while they run, their failures told to the queue."""

from sqslite.entrypoints.worker.context import Context
from sqslite.entrypoints.worker.failures import Reject, Retry, Undecodable
from sqslite.entrypoints.worker.task import Task
from sqslite.entrypoints.worker.worker import Worker

__all__ = ["Context", "Reject", "Retry", "Task", "Undecodable", "Worker"]
