"""What each action is asked, by botocore's service model; both protocols are read into these shapes.

A member that is not there is None. Text may come as another plain JSON value, as AWS allows it.
"""

from typing import TypeVar

from msgspec import Struct, field

Text = str | int | float | bool | None


class Input(Struct, rename="pascal", kw_only=True, frozen=True):
    """The parameters of an action; members that it does not know are passed over, as AWS does."""


class OfQueue(Input, frozen=True):
    """The parameters of an action on a queue."""

    queue_url: Text = None


class AttributeValue(Input, frozen=True):
    """The value of a message attribute; a binary one in base64."""

    string_value: Text = None
    binary_value: Text = None
    string_list_values: list[Text] | None = None
    binary_list_values: list[Text] | None = None
    data_type: Text = None


AttributeValues = dict[str, AttributeValue | None]


class Sent(Input, frozen=True):
    """A message to be sent."""

    message_body: Text = None
    delay_seconds: int | None = None
    message_attributes: AttributeValues | None = None
    message_system_attributes: AttributeValues | None = None
    message_deduplication_id: Text = None
    message_group_id: Text = None


class SendMessage(Sent, frozen=True):
    """SendMessage."""

    queue_url: Text = None


class SentEntry(Sent, frozen=True):
    """An entry of SendMessageBatch."""

    id: Text = None


class SendMessageBatch(OfQueue, frozen=True):
    """SendMessageBatch."""

    entries: list[SentEntry | None] | None = None


class ReceiveMessage(OfQueue, frozen=True):
    """ReceiveMessage."""

    attribute_names: list[Text] | None = None
    message_system_attribute_names: list[Text] | None = None
    message_attribute_names: list[Text] | None = None
    max_number_of_messages: int | None = None
    visibility_timeout: int | None = None
    wait_time_seconds: int | None = None
    receive_request_attempt_id: Text = None


class DeleteMessage(OfQueue, frozen=True):
    """DeleteMessage."""

    receipt_handle: Text = None


class DeleteEntry(Input, frozen=True):
    """An entry of DeleteMessageBatch."""

    id: Text = None
    receipt_handle: Text = None


class DeleteMessageBatch(OfQueue, frozen=True):
    """DeleteMessageBatch."""

    entries: list[DeleteEntry | None] | None = None


class ChangeMessageVisibility(OfQueue, frozen=True):
    """ChangeMessageVisibility."""

    receipt_handle: Text = None
    visibility_timeout: int | None = None


class VisibilityEntry(Input, frozen=True):
    """An entry of ChangeMessageVisibilityBatch."""

    id: Text = None
    receipt_handle: Text = None
    visibility_timeout: int | None = None


class ChangeMessageVisibilityBatch(OfQueue, frozen=True):
    """ChangeMessageVisibilityBatch."""

    entries: list[VisibilityEntry | None] | None = None


class CreateQueue(Input, frozen=True):
    """CreateQueue."""

    queue_name: Text = None
    attributes: dict[str, Text] | None = None
    tags: dict[str, Text] | None = field(default=None, name="tags")


class GetQueueUrl(Input, frozen=True):
    """GetQueueUrl."""

    queue_name: Text = None
    queue_owner_account_id: Text = field(default=None, name="QueueOwnerAWSAccountId")


class ListQueues(Input, frozen=True):
    """ListQueues."""

    queue_name_prefix: Text = None
    next_token: Text = None
    max_results: int | None = None


class GetQueueAttributes(OfQueue, frozen=True):
    """GetQueueAttributes."""

    attribute_names: list[Text] | None = None


class SetQueueAttributes(OfQueue, frozen=True):
    """SetQueueAttributes."""

    attributes: dict[str, Text] | None = None


class ListDeadLetterSourceQueues(OfQueue, frozen=True):
    """ListDeadLetterSourceQueues."""

    next_token: Text = None
    max_results: int | None = None


class TagQueue(OfQueue, frozen=True):
    """TagQueue."""

    tags: dict[str, Text] | None = None


class UntagQueue(OfQueue, frozen=True):
    """UntagQueue."""

    tag_keys: list[Text] | None = None


class AddPermission(OfQueue, frozen=True):
    """AddPermission."""

    label: Text = None
    account_ids: list[Text] | None = field(default=None, name="AWSAccountIds")
    actions: list[Text] | None = None


class RemovePermission(OfQueue, frozen=True):
    """RemovePermission."""

    label: Text = None


class StartMessageMoveTask(Input, frozen=True):
    """StartMessageMoveTask."""

    source_arn: Text = None
    destination_arn: Text = None
    max_number_of_messages_per_second: int | None = None


class ListMessageMoveTasks(Input, frozen=True):
    """ListMessageMoveTasks."""

    source_arn: Text = None
    max_results: int | None = None


class CancelMessageMoveTask(Input, frozen=True):
    """CancelMessageMoveTask."""

    task_handle: Text = None


InputT = TypeVar("InputT", bound=Input)


def text(value: Text) -> str | None:
    """The value as the text that AWS makes of it, None where there is none."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def texts(values: list[Text] | None) -> list[str]:
    """The values as texts; those that are null are passed over."""
    return [shown for value in values or () if (shown := text(value)) is not None]


def texts_by_name(values: dict[str, Text] | None) -> dict[str, str]:
    """The values as texts by name; those that are null are passed over."""
    return {name: shown for name, value in (values or {}).items() if (shown := text(value)) is not None}
