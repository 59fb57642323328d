"""The gRPC calls about queues, about what is in them, and about redrives."""

import pytest
from grpc import StatusCode

from sqslite.domain.queues import DedupScope
from sqslite.domain.retry import Backoff, BackoffKind
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from tests.unit.grpc_api import Api, grpc_api, refused
from tests.unit.node import message

INVALID = StatusCode.INVALID_ARGUMENT
EVERYTHING = pb.QueueSettings(
    fifo=True,
    visibility_ms=1_000,
    delay_ms=0,
    max_retries=3,
    dlq="failed",
    retention_ms=60_000,
    dedup_ms=10_000,
    dedup_scope=pb.DEDUP_SCOPE_GROUP,
    dedup_by_content=True,
    receive_wait_ms=5_000,
    body_bytes_max=100,
    backoff=pb.Backoff(kind=pb.BACKOFF_KIND_EXPONENTIAL, base_ms=5, factor=3.0, max_ms=50, jitter=0.5),
    tags={"team": "billing"},
    in_flight_max=9,
    redrive_allow=pb.RedriveAllow(queues=["returns"]),
    annotations={"Policy": "{}"},
)


async def put(api: Api, queue: str = "orders", **settings: object) -> pb.PutQueueResponse:
    return await api.stub.PutQueue(pb.PutQueueRequest(queue=queue, settings=pb.QueueSettings(**settings)))


async def test_a_queue_is_created_with_all_its_settings_shown_and_changed():
    async with grpc_api() as api:
        created = await api.stub.PutQueue(pb.PutQueueRequest(queue="orders", settings=EVERYTHING))
        assert (created.created, created.queue.settings) == (True, EVERYTHING)
        kept = (await api.node.administration.get("orders")).settings
        assert (kept.dedup_scope, kept.delay_ms, kept.tags) == (DedupScope.GROUP, 0, {"team": "billing"})
        assert kept.backoff == Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=5, factor=3.0, max_ms=50, jitter=0.5)
        assert await api.stub.GetQueue(pb.GetQueueRequest(queue="orders")) == created.queue
        changed = await put(api, fifo=True)
        assert not changed.created
        assert not changed.queue.settings.HasField("delay_ms")
        with refused(StatusCode.FAILED_PRECONDITION, "queue_conflict"):
            await put(api, fifo=False)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"visibility_ms": 0}, "visibility_ms must be 1 to"),
        ({"dedup_scope": 7}, "dedup_scope must be one of queue, group; got 7"),
        ({"backoff": pb.Backoff(kind=9)}, "backoff.kind must be one of none, fixed, linear, exponential; got 9"),
        ({"backoff": pb.Backoff(factor=float("nan"))}, "backoff.factor must be 1 to"),
        ({"fifo": True, "fair": True}, "fair must be false"),
    ],
)
async def test_settings_that_are_none_are_refused_by_name(settings: dict, text: str):
    async with grpc_api() as api:
        with refused(INVALID, "invalid_value", text):
            await put(api, **settings)


async def test_queues_are_listed_a_page_at_a_time():
    async with grpc_api() as api:
        for name in ("a1", "a2", "a3", "b1"):
            await put(api, name)
        first = await api.stub.ListQueues(pb.ListQueuesRequest(prefix="a", limit=2))
        assert ([queue.name for queue in first.queues], first.after) == (["a1", "a2"], "a2")
        second = await api.stub.ListQueues(pb.ListQueuesRequest(prefix="a", limit=2, after=first.after))
        assert ([queue.name for queue in second.queues], second.after) == (["a3"], "")
        assert len((await api.stub.ListQueues(pb.ListQueuesRequest())).queues) == 4
        with refused(INVALID, "invalid_value", "limit must be 1 to 1000; got 0"):
            await api.stub.ListQueues(pb.ListQueuesRequest(limit=0))


async def test_a_queue_is_paused_resumed_purged_and_deleted():
    async with grpc_api() as api:
        await api.enqueue()
        assert (await api.stub.PauseQueue(pb.PauseQueueRequest(queue="orders"))).paused
        assert await api.receive() == []
        assert not (await api.stub.ResumeQueue(pb.ResumeQueueRequest(queue="orders"))).paused
        assert len(await api.receive()) == 1
        await api.stub.PurgeQueue(pb.PurgeQueueRequest(queue="orders"))
        assert await api.node.messages() == []
        await api.stub.DeleteQueue(pb.DeleteQueueRequest(queue="orders"))
        with refused(StatusCode.NOT_FOUND, "queue_not_found", "queue orders does not exist"):
            await api.stub.DeleteQueue(pb.DeleteQueueRequest(queue="orders"))


async def test_messages_are_counted_and_shown_by_state_without_being_leased():
    async with grpc_api() as api:
        await api.node.enqueue(message(), message(delay_ms=5_000), message())
        (leased,) = await api.receive(max=1)
        await api.node.advance(1_500)
        counts = await api.stats()
        assert (counts.ready, counts.delayed, counts.in_flight) == (1, 1, 1)
        assert (counts.oldest_ready_age_ms, counts.approximate) == (1_500, False)
        assert (counts.enqueued_total, counts.received_total, counts.acked_total) == (3, 1, 0)
        first = await api.stub.Peek(pb.PeekRequest(queue="orders", limit=2))
        rest = await api.stub.Peek(pb.PeekRequest(queue="orders", limit=2, after=first.after))
        seen = [*first.messages, *rest.messages]
        assert [one.state for one in seen] == [pb.STATE_READY, pb.STATE_DELAYED, pb.STATE_LEASED]
        assert (seen[2].message.id, rest.after) == (leased.message.id, "")
        ready = await api.stub.Peek(pb.PeekRequest(queue="orders", state=pb.STATE_READY))
        assert [one.message.id for one in ready.messages] == [seen[0].message.id]
        with refused(INVALID, "invalid_value", "state must be one of ready, delayed, leased; got 8"):
            await api.stub.Peek(pb.PeekRequest(queue="orders", state=8))
        with refused(INVALID, "invalid_value", "after must be what the page before it answered"):
            await api.stub.Peek(pb.PeekRequest(queue="orders", after="x"))


async def test_a_queue_without_ready_messages_has_no_oldest_one():
    async with grpc_api() as api:
        await put(api)
        assert not (await api.stats()).HasField("oldest_ready_age_ms")


async def test_a_message_is_explained():
    async with grpc_api() as api:
        await put(api, fifo=True)
        first, second = await api.node.enqueue(message(group_id="g"), message(group_id="g"))
        told = await api.stub.Explain(pb.ExplainRequest(id=second))
        assert (told.queue, told.state, told.code) == ("orders", pb.STATE_READY, "behind_in_group")
        assert (told.blocked_by, told.message.id) == (first, second)
        assert str(first) in told.reason
        await api.receive(max=1)
        leased = await api.stub.Explain(pb.ExplainRequest(id=first))
        assert (leased.state, leased.code, leased.HasField("blocked_by")) == (pb.STATE_LEASED, "leased", False)
        assert leased.changes_at == leased.message.lease_until
        with refused(StatusCode.NOT_FOUND, "message_not_found"):
            await api.stub.Explain(pb.ExplainRequest(id=999))
        with refused(INVALID, "invalid_value", "id must be 1 to 9007199254740991; got 0"):
            await api.stub.Explain(pb.ExplainRequest())


async def test_dead_letters_are_sent_on_by_a_task_that_is_shown_and_cancelled():
    async with grpc_api() as api:
        await put(api, "orders")
        await put(api, "failed")
        asked = pb.StartRedriveRequest(queue="failed", to="orders", max_per_second=5, limit=10)
        task = await api.stub.StartRedrive(asked)
        assert (task.queue, task.to, task.max_per_second, task.limit) == ("failed", "orders", 5, 10)
        assert (task.state, task.moved, task.HasField("ended_at")) == (pb.REDRIVE_STATE_RUNNING, 0, False)
        with refused(StatusCode.FAILED_PRECONDITION, "redrive_conflict"):
            await api.stub.StartRedrive(asked)
        listed = await api.stub.ListRedrives(pb.ListRedrivesRequest(queue="failed"))
        assert list(listed.redrives) == [task]
        ended = await api.stub.CancelRedrive(pb.CancelRedriveRequest(queue="failed", id=task.id))
        assert (ended.state, ended.HasField("ended_at")) == (pb.REDRIVE_STATE_CANCELLED, True)
        with refused(StatusCode.NOT_FOUND, "redrive_not_found"):
            await api.stub.CancelRedrive(pb.CancelRedriveRequest(queue="failed", id=task.id + 1))
        bare = await api.stub.StartRedrive(pb.StartRedriveRequest(queue="failed"))
        assert not any(bare.HasField(name) for name in ("to", "max_per_second", "limit"))
