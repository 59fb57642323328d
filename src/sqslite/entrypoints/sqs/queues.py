"""CreateQueue, GetQueueUrl, ListQueues, DeleteQueue, PurgeQueue and the attributes of queues."""

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta

from msgspec.structs import replace

from sqslite.domain.limits import PAGE_MAX, QUEUE_NAME
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.entrypoints.sqs import inputs, policies, queue_attributes
from sqslite.entrypoints.sqs.calls import Answer, Call
from sqslite.entrypoints.sqs.errors import Kind, SqsError, invalid, missing, no_queue, unknown_attribute
from sqslite.entrypoints.sqs.inputs import Text, text, texts, texts_by_name
from sqslite.entrypoints.sqs.names import is_account, is_fifo_name, is_standard_name
from sqslite.entrypoints.sqs.tags import with_tags

PAUSE = timedelta(seconds=60)
# SQS developer guide, quotas of messages, of standard and of FIFO queues.
IN_FLIGHT_MAX = 120_000
NAME_ALLOWED = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
FIFO_NAME_ALLOWED = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo "
    "suffix and be 1 to 80 in length."
)
INVALID_TOKEN = "Invalid NextToken value."
RECREATED_TOO_SOON = "You must wait 60 seconds after deleting a queue before you can create another with the same name."


async def create_queue(call: Call, asked: inputs.CreateQueue) -> Answer:
    """Create a queue; where it is there with these attributes, that is fine too."""
    name = _named(asked.queue_name)
    if not name:
        raise invalid("Queue name cannot be empty")
    given = texts_by_name(asked.attributes)
    fifo = given.get("FifoQueue", "").lower() == "true"
    _check_name(name, fifo)
    call.check_rights(name)
    tags = with_tags(name, {}, texts_by_name(asked.tags))
    settings = queue_attributes.changed(QueueSettings(fifo=fifo, in_flight_max=IN_FLIGHT_MAX), given)
    existing = await call.found_now(name)
    if existing is None:
        await _check_dead_letters(call, name, settings, given)
        if call.ports.strict_timing:
            deleted_at = await call.ports.administration.deleted_at(name)
            if deleted_at is not None and call.ports.clock.now() < deleted_at + PAUSE:
                raise SqsError(Kind.QUEUE_DELETED_RECENTLY, RECREATED_TOO_SOON)
        existing = await call.ports.administration.create(name, replace(settings, tags=tags))
    _check_same(call, existing, given)
    if tags and tags != existing.settings.tags:
        raise _exists("tags")
    return {"QueueUrl": call.place.url(name)}


async def get_queue_url(call: Call, asked: inputs.GetQueueUrl) -> Answer:
    """The URL of the queue of that name."""
    name = _named(asked.queue_name or None)
    account = text(asked.queue_owner_account_id) or call.place.account
    if not QUEUE_NAME.fullmatch(name) or not is_account(account):
        raise no_queue()
    queue = await call.queue(name)
    return {"QueueUrl": replace(call.place, account=account).url(queue.name)}


async def list_queues(call: Call, asked: inputs.ListQueues) -> Answer:
    """The URLs of queues whose names start so, a page at a time."""
    limit = page_limit(asked.max_results)
    prefix = text(asked.queue_name_prefix) or ""
    after = _list_start(asked, prefix)
    if prefix and not is_standard_name(prefix.replace(".", "_")):
        return {}
    found = await call.ports.administration.page(prefix, after, limit)
    urls = call.urls(found)
    answer: Answer = {"QueueUrls": urls} if urls else {}
    # Without MaxResults there is one page of at most 1,000.
    if asked.max_results is not None and len(found) == limit:
        last = found[-1].name
        if await call.ports.administration.page(prefix, last, 1):
            answer["NextToken"] = page_token(last)
    return answer


async def delete_queue(call: Call, asked: inputs.OfQueue) -> None:
    """Delete the queue with all its messages."""
    await call.ports.administration.delete(call.queue_name(asked.queue_url))


async def purge_queue(call: Call, asked: inputs.OfQueue) -> None:
    """Delete all messages that are in the queue."""
    queue = await call.queue_now(asked.queue_url)
    if call.ports.strict_timing and queue.purged_at and call.ports.clock.now() < queue.purged_at + PAUSE:
        raise SqsError(
            Kind.PURGE_IN_PROGRESS, f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
        )
    await call.ports.administration.purge(queue.name)


async def get_queue_attributes(call: Call, asked: inputs.GetQueueAttributes) -> Answer:
    """Attributes of the queue: those named, or All."""
    queue = await call.queue_now(asked.queue_url)
    names = texts(asked.attribute_names)
    if asked.attribute_names is not None and not names:
        # AWS takes a list of none for one of an empty name.
        names = [""]
    for name in names:
        if name not in queue_attributes.KNOWN:
            raise unknown_attribute(name)
    if not names:
        return {}
    every = "All" in names
    attributes = queue_attributes.shown(queue, call.place, call.ports.defaults)
    if every or set(names) & set(queue_attributes.COUNTS):
        depth, _ = await call.ports.inspection.stats(queue.name)
        attributes |= {name: str(count(depth)) for name, count in queue_attributes.COUNTS.items()}
    chosen = {name: value for name, value in attributes.items() if every or name in names}
    return {"Attributes": chosen} if chosen else {}


async def set_queue_attributes(call: Call, asked: inputs.SetQueueAttributes) -> None:
    """Change attributes of the queue; those not given stay."""
    queue = await call.queue_now(asked.queue_url)
    if not asked.attributes or "" in asked.attributes:
        raise missing("Attribute.Name")
    given = texts_by_name(asked.attributes)
    if not given:
        raise missing("Attribute.Value")
    settings = queue_attributes.changed(queue.settings, given)
    await _check_dead_letters(call, queue.name, settings, given)
    await call.ports.administration.change(queue.name, lambda settings: queue_attributes.changed(settings, given))


async def list_dead_letter_source_queues(call: Call, asked: inputs.ListDeadLetterSourceQueues) -> Answer:
    """The URLs of the queues that have this one as their dead-letter queue, a page at a time."""
    queue = await call.queue(asked.queue_url)
    limit = page_limit(asked.max_results)
    after = page_start(asked.next_token)
    found = await call.ports.administration.sources(queue.name, after, limit)
    answer: Answer = {"queueUrls": call.urls(found)}
    if asked.max_results is not None and len(found) == limit:
        last = found[-1].name
        if await call.ports.administration.sources(queue.name, last, 1):
            answer["NextToken"] = page_token(last)
    return answer


def page_limit(max_results: int | None) -> int:
    """How long a page is. Raises SqsError."""
    if max_results is None:
        return PAGE_MAX
    if not 1 <= max_results <= PAGE_MAX:
        allowed = f"MaxResults must be an integer between 1 and {PAGE_MAX}."
        raise invalid(f"Value for parameter MaxResults is invalid. Reason: {allowed}")
    return max_results


def page_start(token: Text, refusal: str = "Invalid or expired next token.") -> str:
    """The name behind which a page starts; "" for the first. Raises SqsError with that sentence."""
    given = text(token)
    if not given:
        return ""
    try:
        name = base64.urlsafe_b64decode(given.encode("ascii")).decode("ascii")
    except (binascii.Error, ValueError):
        name = ""
    if not is_standard_name(name.replace(".", "_")):
        raise invalid(refusal)
    return name


def page_token(name: str) -> str:
    """What leads to the page behind that name."""
    return base64.urlsafe_b64encode(name.encode("ascii")).decode("ascii")


def _named(queue_name: Text) -> str:
    name = text(queue_name)
    if name is None:
        raise invalid("Value for parameter QueueName is invalid. Reason: Must specify a queue name.")
    return name


def _list_start(asked: inputs.ListQueues, prefix: str) -> str:
    """Where a page of ListQueues starts, which is stricter about its tokens than lists of sources are."""
    if asked.next_token and asked.max_results is None:
        raise invalid("MaxResults is a mandatory parameter when you provide a value for NextToken.")
    after = page_start(asked.next_token, INVALID_TOKEN)
    if after and not after.startswith(prefix):
        raise invalid(
            f"{INVALID_TOKEN} If you are passing in NextToken, you must not change the other request parameters."
        )
    return after


def _check_name(name: str, fifo: bool) -> None:
    if fifo and not is_fifo_name(name):
        raise invalid(FIFO_NAME_ALLOWED)
    if not fifo and not is_standard_name(name):
        raise invalid(NAME_ALLOWED)


def _check_same(call: Call, existing: Queue, given: Mapping[str, str]) -> None:
    """Raise SqsError where an attribute that was asked for is not the queue's."""
    if "FifoQueue" in given and not existing.settings.fifo:
        # Another wire made it, under a name that is a FIFO queue's here.
        raise _exists("attribute FifoQueue")
    has = queue_attributes.shown(existing, call.place, call.ports.defaults)
    as_asked = queue_attributes.shown(
        replace(existing, settings=queue_attributes.changed(existing.settings, given)), call.place, call.ports.defaults
    )
    for name in given:
        if not policies.same(name, has.get(name), as_asked.get(name)):
            raise _exists(f"attribute {name}")


def _exists(what: str) -> SqsError:
    return SqsError(Kind.QUEUE_EXISTS, f"A queue already exists with the same name and a different value for {what}")


async def _check_dead_letters(call: Call, name: str, settings: QueueSettings, given: Mapping[str, str]) -> None:
    """Raise SqsError where the dead-letter queue that was asked for cannot be this queue's."""
    policy = given.get(policies.REDRIVE)
    if not policy or settings.dlq is None:
        return
    call.check_rights(settings.dlq)
    if settings.dlq == name:
        raise policies.redrive_fault(policy, "Dead-letter queue cannot be the source queue itself.")
    if settings.fifo != settings.dlq.endswith(".fifo"):
        raise policies.redrive_fault(policy, "Dead-letter queue must be same type of queue as the source..")
    dlq = await call.found_now(settings.dlq)
    if dlq is None:
        raise policies.redrive_fault(policy, "Dead letter target does not exist.")
    if not dlq.settings.allows_redrive_from(name):
        raise policies.redrive_fault(policy, "Queue does not have permission to use this dead letter target.")
