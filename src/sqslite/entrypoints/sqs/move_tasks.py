"""StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask: redrives in AWS's words."""

import base64
import binascii
import uuid
from typing import Any

import msgspec
from msgspec import Struct

from sqslite.domain.errors import RedriveConflict, RedriveNotFound
from sqslite.domain.queues import Queue
from sqslite.domain.redrive import Redrive, RedriveState
from sqslite.entrypoints.sqs import inputs
from sqslite.entrypoints.sqs.calls import Answer, Call
from sqslite.entrypoints.sqs.errors import Kind, SqsError, invalid, invalid_value, missing, no_queue
from sqslite.entrypoints.sqs.inputs import Text, text
from sqslite.entrypoints.sqs.names import message_uuid, parse_arn

PER_SECOND_MAX = 500
TASKS_MAX = 10
RUNNING = RedriveState.RUNNING
# SQS developer guide, troubleshooting dead-letter queue redrive.
NO_SOURCE = "CouldNotDetermineMessageSource"
STATUS = {
    RUNNING: "RUNNING",
    RedriveState.COMPLETED: "COMPLETED",
    RedriveState.CANCELLED: "CANCELLED",
    RedriveState.FAILED: "FAILED",
}


class Handle(Struct, frozen=True, rename="camel"):
    """What a task handle says, in base64."""

    task_id: str
    source_arn: str


async def start_message_move_task(call: Call, asked: inputs.StartMessageMoveTask) -> Answer:
    """Begin to move dead letters to their sources, or to one queue."""
    source = await _queue_of(call, "SourceArn", asked.source_arn)
    rate = asked.max_number_of_messages_per_second
    if rate is not None and not 1 <= rate <= PER_SECOND_MAX:
        raise invalid_value(
            "MaxNumberOfMessagesPerSecond", rate, f"You must specify a value between 1 and {PER_SECOND_MAX}."
        )
    if not await call.ports.administration.sources(source.name, "", 1):
        raise invalid("Source queue must be configured as a Dead Letter Queue.")
    to = None
    if text(asked.destination_arn):
        destination = await _queue_of(call, "DestinationArn", asked.destination_arn)
        to = destination.name
        if to == source.name:
            raise invalid("Source queue arn and destination queue arn cannot be the same.")
        if destination.settings.fifo != source.settings.fifo:
            raise invalid("Source queue and destination queue must be of the same type.")
    try:
        task = await call.ports.redriving.start(source.name, to, rate)
    except RedriveConflict:
        raise invalid(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
        ) from None
    return {"TaskHandle": _handle(call, task)}


async def list_message_move_tasks(call: Call, asked: inputs.ListMessageMoveTasks) -> Answer:
    """The latest tasks of a queue, the newest first."""
    source = await _queue_of(call, "SourceArn", asked.source_arn)
    limit = 1 if asked.max_results is None else asked.max_results
    if not 1 <= limit <= TASKS_MAX:
        raise invalid_value("MaxResults", limit, f"You must specify a value between 1 and {TASKS_MAX}.")
    tasks = (await call.ports.redriving.page(source.name))[:limit]
    return {"Results": [_shown(call, task) for task in tasks]}


async def cancel_message_move_task(call: Call, asked: inputs.CancelMessageMoveTask) -> Answer:
    """End a running task; what it moved stays moved."""
    given = text(asked.task_handle)
    if not given:
        raise missing("TaskHandle")
    handle = _read(given)
    source = await _queue_of(call, "SourceArn", handle.source_arn)
    number = _number(handle.task_id)
    not_active = invalid("Only active tasks can be cancelled.")
    # To cancel twice is fine elsewhere.
    if any(task.id == number and task.state is not RUNNING for task in await call.ports.redriving.page(source.name)):
        raise not_active
    try:
        task = await call.ports.redriving.cancel(source.name, number)
    except RedriveNotFound:
        raise SqsError(Kind.RESOURCE, "Task does not exist.") from None
    except RedriveConflict:
        raise not_active from None
    return {"ApproximateNumberOfMessagesMoved": task.moved}


async def _queue_of(call: Call, parameter: str, given: Text) -> Queue:
    written = text(given)
    if not written:
        raise missing(parameter)
    arn = parse_arn(written)
    if arn is None or arn.service != "sqs":
        raise invalid(
            f"You must use this format to specify the {parameter}: "
            "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        )
    call.check_rights(arn.resource)
    queue = await call.ports.directory.find(arn.resource)
    if queue is None:
        raise SqsError(Kind.RESOURCE, f"The resource that you specified for the {parameter} parameter doesn't exist.")
    return queue


def _shown(call: Call, task: Redrive) -> dict[str, Any]:
    shown: dict[str, Any] = {"Status": STATUS[task.state], "SourceArn": call.place.arn(task.queue)}
    if task.state is RUNNING:
        shown["TaskHandle"] = _handle(call, task)
    if task.to is not None:
        shown["DestinationArn"] = call.place.arn(task.to)
    if task.max_per_second is not None:
        shown["MaxNumberOfMessagesPerSecond"] = task.max_per_second
    if task.state is RedriveState.FAILED:
        shown["FailureReason"] = NO_SOURCE if task.to is None else no_queue().wrong.code
    shown["ApproximateNumberOfMessagesMoved"] = task.moved
    # It was counted before the task began: some may have come in between.
    shown["ApproximateNumberOfMessagesToMove"] = max(task.to_move, task.moved)
    shown["StartedTimestamp"] = int(task.created_at.timestamp() * 1_000)
    return shown


def _handle(call: Call, task: Redrive) -> str:
    said = msgspec.json.encode(Handle(message_uuid(task.id), call.place.arn(task.queue)))
    return base64.b64encode(said).decode()


def _read(handle: str) -> Handle:
    try:
        return msgspec.json.decode(base64.b64decode(handle, validate=True), type=Handle)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise invalid("Value for parameter TaskHandle is invalid.") from None


def _number(task_id: str) -> int:
    """The id of the task whose handle says that; 0, which no task has, where none can."""
    try:
        number = uuid.UUID(task_id).int & 2**62 - 1
    except ValueError:
        return 0
    return number if message_uuid(number % 2**53) == task_id else 0
