"""The calls of those who look after queues, look at them, and send dead letters on."""

from collections.abc import Callable, Sequence

import msgspec

from sqslite.adapters.client.calls import Call, Session, asked, looked, queue_path, with_query
from sqslite.adapters.client.reading import queue_of, read, redrive_of, seen, set_or_none
from sqslite.adapters.client.requests import Effect, Request
from sqslite.adapters.client.talking import Talk, ask
from sqslite.domain import limits
from sqslite.domain.errors import QueueNotFound
from sqslite.domain.explain import Explanation
from sqslite.domain.ports import Depth, Totals
from sqslite.domain.queues import NamedQueue, QueueSettings
from sqslite.domain.redrive import RedriveTask
from sqslite.domain.use_cases import PeekPage
from sqslite.wire.queue_shapes import (
    ExplainOut,
    PeekOut,
    QueueOut,
    QueuesOut,
    RedriveIn,
    RedriveOut,
    RedrivesOut,
    StatsOut,
)

CREATED = 201


def put(name: str, settings: QueueSettings) -> Call[tuple[NamedQueue, bool]]:
    """Of a queue that the first try created, a second one says that it was there."""
    talk = asked(
        lambda: Request(method="PUT", path=queue_path(name), body=msgspec.json.encode(settings)),
        lambda reply: (queue_of(read(reply.body, QueueOut)), reply.status == CREATED),
    )
    return Call(talk, lambda on: on.administration.put(name, settings))


def get(name: str) -> Call[NamedQueue]:
    """Looks."""
    talk = looked(lambda: queue_path(name), lambda reply: queue_of(read(reply.body, QueueOut)))
    return Call(talk, lambda on: on.administration.get(name))


def delete(name: str) -> Call[None]:
    """A queue that is gone when it is tried again was deleted by the first try."""

    def talk(session: Session) -> Talk[None]:
        yield from ask(Request(method="DELETE", path=queue_path(name)), session.retrying, already=QueueNotFound)

    return Call(talk, lambda on: on.administration.delete(name))


def purge(name: str) -> Call[None]:
    """A second try is a second cut: it takes what came in between, as one that had waited so long would have."""
    talk = asked(lambda: _post(queue_path(name, ":purge")), lambda _: None)
    return Call(talk, lambda on: on.administration.purge(name))


def pause(name: str) -> Call[NamedQueue]:
    """A second try changes nothing."""
    return Call(_switched(name, ":pause"), lambda on: on.administration.pause(name))


def resume(name: str) -> Call[NamedQueue]:
    """A second try changes nothing."""
    return Call(_switched(name, ":resume"), lambda on: on.administration.resume(name))


def page(prefix: str, after: str, limit: int | None) -> Call[Sequence[NamedQueue]]:
    """Looks."""
    talk = looked(
        lambda: with_query("/v1/queues", prefix=prefix, after=after, limit=limit),
        lambda reply: [queue_of(queue) for queue in read(reply.body, QueuesOut).queues],
    )
    return Call(talk, lambda on: on.administration.page(prefix, after, limit))


def stats(name: str) -> Call[tuple[Depth, Totals]]:
    """Looks."""
    talk = looked(lambda: queue_path(name, "/stats"), lambda reply: _depth_and_totals(name, read(reply.body, StatsOut)))
    return Call(talk, lambda on: on.inspection.stats(name))


def peek(name: str, state: str | None, after: str | None, limit: int | None) -> Call[PeekPage]:
    """Looks."""

    def read_page(answer: PeekOut) -> PeekPage:
        return PeekPage([(one.state, seen(one)) for one in answer.messages], set_or_none(answer.after))

    talk = looked(
        lambda: with_query(queue_path(name, "/messages"), state=state, after=after, limit=limit),
        lambda reply: read_page(read(reply.body, PeekOut)),
    )
    return Call(talk, lambda on: on.inspection.peek(name, state, after, limit))


def explain(message_id: int) -> Call[Explanation]:
    """Looks. Raises InvalidValue for what cannot be an id."""
    limits.check_range("id", message_id, 1, limits.MESSAGE_ID_MAX)
    talk = looked(lambda: f"/v1/messages/{message_id}", lambda reply: _explanation(read(reply.body, ExplainOut)))
    return Call(talk, lambda on: on.inspection.explain(message_id))


def start(name: str, to: str | None, max_per_second: int | None, limit: int | None) -> Call[RedriveTask]:
    """Is sent again only where the first try did nothing for sure: it might start a second task."""
    body = msgspec.json.encode(RedriveIn(to=to, max_per_second=max_per_second, limit=limit))
    talk = asked(
        lambda: Request(method="POST", path=queue_path(name, ":redrive"), body=body, effect=Effect.ANOTHER),
        lambda reply: redrive_of(read(reply.body, RedriveOut)),
    )
    return Call(talk, lambda on: on.redriving.start(name, to, max_per_second, limit))


def tasks(name: str) -> Call[Sequence[RedriveTask]]:
    """Looks."""
    talk = looked(
        lambda: queue_path(name, "/redrives"),
        lambda reply: [redrive_of(task) for task in read(reply.body, RedrivesOut).redrives],
    )
    return Call(talk, lambda on: on.redriving.page(name))


def cancel(name: str, redrive_id: int) -> Call[RedriveTask]:
    """A second try finds the task cancelled, and is answered alike. Raises InvalidValue for what cannot be an id."""
    limits.check_range("redrive_id", redrive_id, 1, limits.MESSAGE_ID_MAX)
    talk = asked(
        lambda: _post(queue_path(name, f"/redrives/{redrive_id}:cancel")),
        lambda reply: redrive_of(read(reply.body, RedriveOut)),
    )
    return Call(talk, lambda on: on.redriving.cancel(name, redrive_id))


def _post(path: str) -> Request:
    return Request(method="POST", path=path, body=b"{}")


def _switched(name: str, verb: str) -> Callable[[Session], Talk[NamedQueue]]:
    return asked(lambda: _post(queue_path(name, verb)), lambda reply: queue_of(read(reply.body, QueueOut)))


def _depth_and_totals(name: str, answer: StatsOut) -> tuple[Depth, Totals]:
    depth = Depth(
        queue=name,
        ready=answer.ready,
        delayed=answer.delayed,
        in_flight=answer.in_flight,
        oldest_ready_age_ms=answer.oldest_ready_age_ms,
        approximate=answer.approximate,
    )
    totals = Totals(
        enqueued=answer.enqueued_total,
        received=answer.received_total,
        acked=answer.acked_total,
        dead_lettered=answer.dead_lettered_total,
    )
    return depth, totals


def _explanation(answer: ExplainOut) -> Explanation:
    return Explanation(
        queue=answer.queue,
        message=seen(answer),
        blocked_by=set_or_none(answer.blocked_by),
        state=answer.state,
        code=answer.code,
        reason=answer.reason,
        changes_at=answer.changes_at,
    )
