"""The table of the API's calls, which its OpenAPI document is made from."""

from typing import Any

from msgspec import Struct

from sqslite.domain import limits
from sqslite.domain.inspection import PEEKED_STATES
from sqslite.wire import queue_shapes, shapes

_QUEUE = {
    "name": "queue",
    "in": "path",
    "required": True,
    "description": f"The queue's name, {limits.QUEUE_NAME_ALLOWED}",
    "schema": {"type": "string", "pattern": limits.NAME_PATTERN},
    "example": "orders",
}
_MESSAGE_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The message's id, as its enqueue answered.",
    "schema": {"type": "integer", "minimum": 1, "maximum": limits.MESSAGE_ID_MAX},
    "example": 123,
}
_TASK = {
    "name": "task",
    "in": "path",
    "required": True,
    "description": "The redrive task's id.",
    "schema": {"type": "integer", "minimum": 1, "maximum": limits.MESSAGE_ID_MAX},
    "example": 1,
}
# In a query, an empty text is as good as none.
_TOKEN = {"type": "string", "pattern": "^((ready|delayed|leased)\\.[0-9]{1,17}\\.[0-9]{1,16})?$"}
_NAME = {"type": "string", "pattern": f"^({limits.QUEUE_NAME.pattern})?$"}


def _query(name: str, sentence: str, example: Any, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": sentence,
        "schema": schema,
        "example": example,
    }


ERRORS = {
    400: "Malformed, or outside a limit: the text names field, value and limit.",
    404: "No such message (acked, expired, or never enqueued) or queue.",
    408: "The request body did not arrive in time.",
    409: "The receipt is stale, or the queue or task is in no state for that.",
    413: "The body is too large.",
    415: "The request body is compressed.",
    429: "As many messages are in flight as the queue allows; try again after Retry-After seconds.",
    503: "The store is busy or away; try again after Retry-After seconds.",
}


class Call(Struct, frozen=True, kw_only=True):
    """One operation of the API."""

    method: str
    path: str
    id: str
    summary: str
    parameters: tuple[dict[str, Any], ...] = ()
    request: type[Struct] | None = None
    request_required: bool = True
    answer: Any = None
    answers: dict[int, str]
    errors: tuple[int, ...] = ()


_READ = (400, 408, 413, 415, 503)
CALLS = (
    Call(
        method="post",
        path="/v1/queues/{queue}/messages",
        id="enqueue",
        summary="Enqueue a message; a queue comes into being with its first one.",
        parameters=(_QUEUE,),
        request=shapes.EnqueueIn,
        answer=shapes.EnqueueOut,
        answers={201: "The message is stored durably.", 200: "It is a duplicate: the id is the earlier one's."},
        errors=_READ,
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}:receive",
        id="receive",
        summary="Lease messages, oldest available first; an empty or unknown queue gives an empty list.",
        parameters=(_QUEUE,),
        request=shapes.ReceiveIn,
        request_required=False,
        answer=list[shapes.MessageOut],
        answers={200: "The leased messages."},
        errors=(*_READ, 429),
    ),
    Call(
        method="post",
        path="/v1/messages/{id}:ack",
        id="ack",
        summary="Delete a message whose work is done.",
        parameters=(_MESSAGE_ID,),
        request=shapes.AckIn,
        request_required=False,
        answer=shapes.AckOut,
        answers={200: "The message is gone for good."},
        errors=(*_READ, 404, 409),
    ),
    Call(
        method="post",
        path="/v1/messages/{id}:nack",
        id="nack",
        summary="Give a lease up; the retry policy decides what becomes of the message.",
        parameters=(_MESSAGE_ID,),
        request=shapes.NackIn,
        answer=shapes.AckOut,
        answers={200: "The lease has ended."},
        errors=(*_READ, 404, 409),
    ),
    Call(
        method="post",
        path="/v1/messages/{id}:extend",
        id="extend",
        summary="Hold a message longer, at most 12 hours from its receive; 0 releases it.",
        parameters=(_MESSAGE_ID,),
        request=shapes.ExtendIn,
        answer=shapes.ExtendOut,
        answers={200: "The lease ends then."},
        errors=(*_READ, 404, 409),
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}/messages:batch",
        id="enqueue_batch",
        summary="Enqueue up to 1000 messages; each has a result of its own, and a bad one fails alone.",
        parameters=(_QUEUE,),
        request=shapes.EnqueueBatchIn,
        answer=shapes.ResultsOut,
        answers={200: "A result for each message, in order."},
        errors=_READ,
    ),
    Call(
        method="post",
        path="/v1/messages:ack",
        id="ack_batch",
        summary="Delete up to 1000 messages whose work is done.",
        request=shapes.AckBatchIn,
        answer=shapes.ResultsOut,
        answers={200: "A result for each ack, in order."},
        errors=_READ,
    ),
    Call(
        method="post",
        path="/v1/messages:nack",
        id="nack_batch",
        summary="Give up to 1000 leases up.",
        request=shapes.NackBatchIn,
        answer=shapes.ResultsOut,
        answers={200: "A result for each nack, in order."},
        errors=_READ,
    ),
    Call(
        method="post",
        path="/v1/messages:extend",
        id="extend_batch",
        summary="Hold up to 1000 messages longer, or release them.",
        request=shapes.ExtendBatchIn,
        answer=shapes.ResultsOut,
        answers={200: "A result for each extension, in order."},
        errors=_READ,
    ),
    Call(
        method="put",
        path="/v1/queues/{queue}",
        id="put_queue",
        summary="Create a queue, or change its settings to exactly these; what is missing has its default.",
        parameters=(_QUEUE,),
        request=queue_shapes.QueueIn,
        request_required=False,
        answer=queue_shapes.QueueOut,
        answers={200: "The queue was there and has these settings now.", 201: "The queue was created."},
        errors=(*_READ, 409),
    ),
    Call(
        method="get",
        path="/v1/queues/{queue}",
        id="get_queue",
        summary="Show a queue's settings.",
        parameters=(_QUEUE,),
        answer=queue_shapes.QueueOut,
        answers={200: "The queue."},
        errors=(400, 404, 503),
    ),
    Call(
        method="get",
        path="/v1/queues",
        id="list_queues",
        summary="List queues by name, a page at a time.",
        parameters=(
            _query("prefix", "Only queues whose names start so.", "orders", _NAME),
            _query("after", "Only queues whose names sort behind this one.", "orders", _NAME),
            _query("limit", "Queues of a page.", 100, {"type": "integer", "minimum": 1, "maximum": limits.PAGE_MAX}),
        ),
        answer=queue_shapes.QueuesOut,
        answers={200: "The page; `after` is there when another may follow."},
        errors=(400, 503),
    ),
    Call(
        method="delete",
        path="/v1/queues/{queue}",
        id="delete_queue",
        summary="Delete a queue with all its messages.",
        parameters=(_QUEUE,),
        answer=queue_shapes.DoneOut,
        answers={200: "The queue is gone; an enqueue makes a new, empty one."},
        errors=(400, 404, 503),
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}:purge",
        id="purge_queue",
        summary="Delete all messages of a queue in one cut; what is enqueued after it stays.",
        parameters=(_QUEUE,),
        request=queue_shapes.NothingIn,
        request_required=False,
        answer=queue_shapes.DoneOut,
        answers={200: "The queue is empty; the rows are deleted in the background."},
        errors=(*_READ, 404),
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}:pause",
        id="pause_queue",
        summary="Give nothing out until the queue is resumed; all else goes on.",
        parameters=(_QUEUE,),
        request=queue_shapes.NothingIn,
        request_required=False,
        answer=queue_shapes.QueueOut,
        answers={200: "The queue is paused."},
        errors=(*_READ, 404),
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}:resume",
        id="resume_queue",
        summary="Give messages out again.",
        parameters=(_QUEUE,),
        request=queue_shapes.NothingIn,
        request_required=False,
        answer=queue_shapes.QueueOut,
        answers={200: "The queue is not paused."},
        errors=(*_READ, 404),
    ),
    Call(
        method="get",
        path="/v1/queues/{queue}/stats",
        id="queue_stats",
        summary="Count a queue's messages, in a time that does not grow with them.",
        parameters=(_QUEUE,),
        answer=queue_shapes.StatsOut,
        answers={200: "The counts."},
        errors=(400, 404, 503),
    ),
    Call(
        method="get",
        path="/v1/queues/{queue}/messages",
        id="peek",
        summary="Show messages without leasing them, a page at a time.",
        parameters=(
            _QUEUE,
            _query("state", "Only messages in this state.", "ready", {"enum": list(PEEKED_STATES)}),
            _query("after", "What the page before answered.", "ready.1767780000000000.7", _TOKEN),
            _query("limit", "Messages of a page.", 100, {"type": "integer", "minimum": 1, "maximum": limits.PAGE_MAX}),
        ),
        answer=queue_shapes.PeekOut,
        answers={200: "The page; `after` is there when there is another."},
        errors=(400, 404, 503),
    ),
    Call(
        method="get",
        path="/v1/messages/{id}",
        id="explain",
        summary="Say how a message stands, and why it can or cannot be received now.",
        parameters=(_MESSAGE_ID,),
        answer=queue_shapes.ExplainOut,
        answers={200: "The message and the reason."},
        errors=(400, 404, 503),
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}:redrive",
        id="start_redrive",
        summary="Move the messages that are ready now to the queues they came from, or to one, in the background.",
        parameters=(_QUEUE,),
        request=queue_shapes.RedriveIn,
        request_required=False,
        answer=queue_shapes.RedriveOut,
        answers={202: "The task is on its way."},
        errors=(*_READ, 404, 409),
    ),
    Call(
        method="get",
        path="/v1/queues/{queue}/redrives",
        id="list_redrives",
        summary="Show a queue's latest redrive tasks, the newest first.",
        parameters=(_QUEUE,),
        answer=queue_shapes.RedrivesOut,
        answers={200: "The tasks."},
        errors=(400, 404, 503),
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}/redrives/{task}:cancel",
        id="cancel_redrive",
        summary="End a running redrive task; what it moved stays moved.",
        parameters=(_QUEUE, _TASK),
        request=queue_shapes.NothingIn,
        request_required=False,
        answer=queue_shapes.RedriveOut,
        answers={200: "The task has ended."},
        errors=(*_READ, 404, 409),
    ),
    Call(method="get", path="/healthz", id="healthz", summary="Does the process run?", answer=str, answers={200: "ok"}),
    Call(
        method="get",
        path="/readyz",
        id="readyz",
        summary="Does the store answer?",
        answer=str,
        answers={200: "ready"},
        errors=(503,),
    ),
    Call(
        method="get",
        path="/metrics",
        id="metrics",
        summary="Metrics in the Prometheus text format.",
        answer=str,
        answers={200: "The metrics."},
    ),
)
