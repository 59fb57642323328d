"""Redriving: dead letters are moved on, by default each to the queue it came from."""

import enum
from datetime import datetime

from msgspec import Struct


class RedriveState(enum.StrEnum):
    """How a redrive task stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """The queue that all were to go to was deleted meanwhile; or, without one, there were messages without a source."""


class RedriveTask(Struct, frozen=True, kw_only=True):
    """A task that moves dead letters on, as the one who started it sees it.

    `to` None: each to its source; a message without one stays. `max_per_second` and `limit` None: as many as there are
    when it begins, as fast as it goes. `ended_at` None: it runs.
    """

    id: int = 0
    queue: str
    to: str | None = None
    max_per_second: int | None = None
    limit: int | None = None
    state: RedriveState = RedriveState.RUNNING
    moved: int = 0
    created_at: datetime
    ended_at: datetime | None = None


class Redrive(RedriveTask, frozen=True, kw_only=True):
    """A redrive task as a store keeps it.

    `to_move` is about how many messages there were to be moved when it began.
    `position_at` and `position_id` say how far it has come (None: not begun).
    `taken` counts the times that a node took the task on: the guard of its writes.
    """

    partition_id: int
    to_move: int = 0
    position_at: datetime | None = None
    position_id: int = 0
    taken: int = 0
