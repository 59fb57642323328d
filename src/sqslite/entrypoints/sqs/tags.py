"""TagQueue, UntagQueue and ListQueueTags."""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from sqslite.domain.limits import TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX
from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.sqs import inputs
from sqslite.entrypoints.sqs.calls import Answer, Call
from sqslite.entrypoints.sqs.errors import invalid, missing
from sqslite.entrypoints.sqs.inputs import texts, texts_by_name

_ALLOWED = re.compile(r"[\w\s.:/=+@-]*")
CHARACTERS = "may only contain unicode letters, digits, whitespace, or one of these symbols: _ . : / = + - @"
# SQS developer guide, cost allocation tags: keys that start so are AWS's own.
RESERVED = "aws:"
KEY_ALLOWED = f"Tag keys must be between 1 and {TAG_KEY_CHARS_MAX} characters in length."
VALUE_ALLOWED = f"Tag values must be between 0 and {TAG_VALUE_CHARS_MAX} characters in length."


async def tag_queue(call: Call, asked: inputs.TagQueue) -> None:
    """Add tags to the queue, or give new values to those that are there."""
    queue = await call.queue_now(asked.queue_url)
    given = texts_by_name(asked.tags)
    if not given:
        raise missing("Tags")

    def tagged(settings: QueueSettings) -> QueueSettings:
        return replace(settings, tags=with_tags(queue.name, settings.tags, given))

    await call.ports.administration.change(queue.name, tagged)


async def untag_queue(call: Call, asked: inputs.UntagQueue) -> None:
    """Remove tags from the queue; those that are not there do not matter."""
    queue = await call.queue_now(asked.queue_url)
    keys = texts(asked.tag_keys)
    if not keys or not all(1 <= len(key) <= TAG_KEY_CHARS_MAX for key in keys):
        raise invalid(KEY_ALLOWED)

    def untagged(settings: QueueSettings) -> QueueSettings:
        return replace(settings, tags={key: value for key, value in settings.tags.items() if key not in keys})

    await call.ports.administration.change(queue.name, untagged)


async def list_queue_tags(call: Call, asked: inputs.OfQueue) -> Answer:
    """The tags of the queue."""
    queue = await call.queue_now(asked.queue_url)
    return {"Tags": dict(queue.settings.tags)} if queue.settings.tags else {}


def with_tags(queue: str, tags: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The queue's tags and those that are given. Raises SqsError where it cannot have them."""
    together = {**tags, **given}
    if len(together) > TAGS_MAX:
        raise invalid(f"Too many tags added for queue {queue}.")
    for key, value in given.items():
        if not 1 <= len(key) <= TAG_KEY_CHARS_MAX:
            raise invalid(KEY_ALLOWED)
        if key.lower().startswith(RESERVED):
            raise invalid(f"Tag keys must not start with {RESERVED}, which is reserved.")
        if len(value) > TAG_VALUE_CHARS_MAX:
            raise invalid(VALUE_ALLOWED)
        for what, text in (("keys", key), ("values", value)):
            if not _ALLOWED.fullmatch(text):
                raise invalid(f"Tag {what} {CHARACTERS}")
    return together
