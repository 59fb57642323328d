"""The use cases of redriving: dead letters go on in steps, carried out by whichever node holds the task."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from sqslite.domain import limits
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.errors import InvalidValue, QueueNotFound, RedriveConflict, RedriveNotFound
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.messages import Message
from sqslite.domain.ports import Clock, Move, Observer, Position, QueueStats, Redrives, Wakeups
from sqslite.domain.queues import Defaults, Queue
from sqslite.domain.redrive import Redrive, RedriveState

STEP_MESSAGES_MAX = 500
# Tasks that one node carries out in turn, so that a slow one does not keep the others waiting.
TASKS_HELD_MAX = 10
# A node that has not come forward for so long has lost its task to the next that looks.
HOLD_MS = 5 * SECOND_MS
LOOK_EVERY_MS = SECOND_MS
PAGE_TASKS_MAX = 100


class Turn(Struct, frozen=True):
    """A task that this node holds, and when its next step is due."""

    due_at: datetime
    task: Redrive


class Redriving:
    """Starts, shows, cancels and carries out redrive tasks."""

    def __init__(
        self,
        redrives: Redrives,
        stats: QueueStats,
        administration: QueueAdministration,
        directory: QueueDirectory,
        clock: Clock,
        observer: Observer,
        wakeups: Wakeups,
        defaults: Defaults,
    ) -> None:
        self._redrives = redrives
        self._stats = stats
        self._administration = administration
        self._directory = directory
        self._clock = clock
        self._observer = observer
        self._wakeups = wakeups
        self._defaults = defaults

    async def start(
        self, name: str, to: str | None = None, max_per_second: int | None = None, limit: int | None = None
    ) -> Redrive:
        """Begin to move the messages that are ready in the queue now, each to its source or all to the queue `to`.

        Raises QueueNotFound, InvalidValue, and RedriveConflict where one of this queue runs.
        """
        queue = await self._administration.get(name)
        if to is not None:
            limits.check_queue_name("to", to)
            if to == name:
                raise InvalidValue("to", to, "another queue than the one that is redriven")
            await self._administration.get(to)
        if max_per_second is not None:
            limits.check_range("max_per_second", max_per_second, 1, limits.REDRIVE_RATE_MAX)
        if limit is not None:
            limits.check_range("limit", limit, 1, limits.MESSAGE_ID_MAX)
        (depth,) = await self._stats.depths([queue])
        return await self._redrives.create(
            Redrive(
                queue=name,
                partition_id=queue.partition_id,
                to=to,
                max_per_second=max_per_second,
                limit=limit,
                to_move=depth.ready if limit is None else min(depth.ready, limit),
                created_at=self._clock.now(),
            )
        )

    async def page(self, name: str) -> list[Redrive]:
        """The latest tasks of the queue, the newest first, at most PAGE_TASKS_MAX. Raises QueueNotFound."""
        queue = await self._administration.get(name)
        return await self._redrives.page(queue.partition_id, PAGE_TASKS_MAX)

    async def cancel(self, name: str, redrive_id: int) -> Redrive:
        """End a running task: what it moved stays moved. Raises QueueNotFound, RedriveNotFound, RedriveConflict."""
        queue = await self._administration.get(name)
        redrive = await self._redrives.cancel(queue.partition_id, redrive_id)
        if redrive is None:
            raise RedriveNotFound(redrive_id)
        if redrive.state is not RedriveState.CANCELLED:
            raise RedriveConflict(f"redrive {redrive_id} is {redrive.state} already")
        return redrive

    async def run(self) -> None:
        """Carry tasks out in turn, for ever; after an error a task is taken up again once its hold is over."""
        held: dict[int, Turn] = {}
        look_at = self._clock.now()
        while True:
            try:
                if look_at <= self._clock.now():
                    look_at = self._clock.now() + ms(LOOK_EVERY_MS)
                    await self._take(held)
                if held and (first := _first(held)).due_at <= self._clock.now():
                    await self._carry_on(held, first.task)
            except Exception as error:
                self._observer.redrive_failed(error, LOOK_EVERY_MS)
            await self._clock.sleep_until(min(look_at, _first(held).due_at) if held else look_at)

    async def step(self, task: Redrive) -> Redrive | None:
        """Move the next messages of a task that this node holds; None where there is nothing more to do for it."""
        step_max, _ = _pace(task)
        if task.limit is not None:
            step_max = min(step_max, task.limit - task.moved)
        candidates = await self._redrives.candidates(task, step_max) if step_max else []
        if not candidates:
            await self._redrives.finish(task, await self._outcome(task) if step_max else RedriveState.COMPLETED)
            return None
        try:
            moves = await self._moves(task, candidates)
        except QueueNotFound:
            # Whoever deleted the queue that the task names wants no messages in it.
            await self._redrives.finish(task, RedriveState.FAILED)
            return None
        last = Position(candidates[-1].not_before, candidates[-1].id)
        moved = await self._redrives.advance(task, moves, last, HOLD_MS)
        if moved is None:
            return None
        self._observer.redriven(moved)
        for queue, count in Counter(move.target.name for move in moves).items():
            self._wakeups.notify(queue, count)
        return replace(task, moved=task.moved + moved, position_at=last.at, position_id=last.id)

    async def _take(self, held: dict[int, Turn]) -> None:
        while len(held) < TASKS_HELD_MAX and (task := await self._redrives.take(HOLD_MS)) is not None:
            held[task.id] = Turn(self._clock.now(), task)

    async def _carry_on(self, held: dict[int, Turn], task: Redrive) -> None:
        del held[task.id]
        onward = await self.step(task)
        if onward is not None:
            # Where nothing was moved there is nothing to make up for.
            pause_ms = _pace(task)[1] if onward.moved > task.moved else 0
            held[task.id] = Turn(self._clock.now() + ms(pause_ms), onward)

    async def _outcome(self, task: Redrive) -> RedriveState:
        """How a task ends that has come to the last message: what it passed over has stayed behind it."""
        passed = await self._redrives.candidates(replace(task, position_at=None, position_id=0), 1)
        failed = task.to is None and any(message.origin_queue in (None, task.queue) for message in passed)
        return RedriveState.FAILED if failed else RedriveState.COMPLETED

    async def _moves(self, task: Redrive, candidates: Sequence[Message]) -> list[Move]:
        names = {message.id: task.to or message.origin_queue for message in candidates}
        if task.to is not None:
            targets = {task.to: await self._administration.get(task.to)}
        else:
            dlq = await self._directory.find(task.queue)
            targets = await self._directory.ensure_all((name, dlq) for name in names.values() if name is not None)
        # A message that has no source, or whose source is this very queue, stays where it is.
        return [
            self._move(message, targets[name])
            for message in candidates
            if (name := names[message.id]) is not None and name != task.queue
        ]

    def _move(self, message: Message, target: Queue) -> Move:
        return Move(
            message_id=message.id,
            target=target,
            # Back where it was it has the DLQ that it named; elsewhere the queue decides.
            dlq=message.dlq if target.name == message.origin_queue else None,
            retention_ms=self._defaults.retention_ms(target),
        )


def _first(held: dict[int, Turn]) -> Turn:
    return min(held.values(), key=lambda turn: turn.due_at)


def _pace(task: Redrive) -> tuple[int, int]:
    """How many messages a step moves at most, and the milliseconds to the next: no second sees more than it may."""
    if task.max_per_second is None:
        return STEP_MESSAGES_MAX, 0
    steps_per_second = -(-task.max_per_second // STEP_MESSAGES_MAX)
    return task.max_per_second // steps_per_second, -(-SECOND_MS // steps_per_second)
