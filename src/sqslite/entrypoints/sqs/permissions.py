"""AddPermission and RemovePermission: they edit the queue's access policy, which is kept and shown, not enforced."""

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.sqs import inputs
from sqslite.entrypoints.sqs.calls import Call
from sqslite.entrypoints.sqs.errors import Kind, SqsError, invalid_value, missing
from sqslite.entrypoints.sqs.inputs import text, texts
from sqslite.entrypoints.sqs.names import is_account
from sqslite.entrypoints.sqs.policies import POLICY, STATEMENTS_MAX, statements

ACTIONS_MAX = 7
# SQS API reference, AddPermission: what an owner can share.
SHARED = (
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
)
OWNERS = (
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueues",
    "ListQueueTags",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
)
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
LABEL_ALLOWED = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


async def add_permission(call: Call, asked: inputs.AddPermission) -> None:
    """Add a statement to the queue's policy."""
    queue = await call.queue_now(asked.queue_url)
    label = _label(asked.label)
    actions = _actions(texts(asked.actions))
    accounts = texts(asked.account_ids)
    if asked.account_ids is None:
        raise missing("AWSAccountIds")
    if not accounts or not all(is_account(account) for account in accounts):
        raise invalid_value("PrincipalId", f"[{', '.join(accounts)}]", "Unable to verify.")
    resource = call.place.arn(queue.name)
    permission = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_all([f"arn:{call.place.partition}:iam::{account}:root" for account in accounts])},
        "Action": _one_or_all([f"SQS:{action}" for action in actions]),
        "Resource": resource,
    }

    def permitted(settings: QueueSettings) -> QueueSettings:
        policy = _policy(settings, resource)
        if any(statement.get("Sid") == label for statement in policy["Statement"]):
            raise invalid_value("Label", label, "Already exists.")
        count = len(policy["Statement"]) + 1
        if count > STATEMENTS_MAX:
            sentence = f"{count} Statements were found, maximum allowed is {STATEMENTS_MAX}."
            raise SqsError(Kind.OVER_LIMIT, sentence)
        return _with_policy(settings, {**policy, "Statement": [*policy["Statement"], permission]})

    await call.ports.administration.change(queue.name, permitted)


async def remove_permission(call: Call, asked: inputs.RemovePermission) -> None:
    """Remove a statement from the queue's policy; with the last one the policy goes."""
    queue = await call.queue_now(asked.queue_url)
    label = _label(asked.label)

    def forbidden(settings: QueueSettings) -> QueueSettings:
        policy = _policy(settings, call.place.arn(queue.name))
        rest = [statement for statement in policy["Statement"] if statement.get("Sid") != label]
        if len(rest) == len(policy["Statement"]):
            raise invalid_value("Label", label, "can't find label.")
        return _with_policy(settings, {**policy, "Statement": rest})

    await call.ports.administration.change(queue.name, forbidden)


def _label(given: inputs.Text) -> str:
    label = text(given)
    if not label:
        raise missing("Label")
    if not _LABEL.fullmatch(label):
        raise invalid_value("Label", label, LABEL_ALLOWED)
    return label


def _actions(actions: list[str]) -> list[str]:
    if not actions:
        raise missing("Actions")
    if len(actions) > ACTIONS_MAX:
        raise SqsError(Kind.OVER_LIMIT, f"{len(actions)} Actions were found, maximum allowed is {ACTIONS_MAX}.")
    for action in actions:
        if action in OWNERS:
            raise invalid_value("ActionName", f"SQS:{action}", "Only the queue owner is allowed to invoke this action.")
        if action not in SHARED:
            raise invalid_value(
                "ActionName", f"SQS:{action}", "Please refer to the appropriate WSDL for a list of valid actions. "
            )
    return actions


def _policy(settings: QueueSettings, resource: str) -> dict[str, Any]:
    kept = settings.annotations.get(POLICY)
    if not kept:
        return {"Version": "2008-10-17", "Id": f"{resource}/SQSDefaultPolicy", "Statement": []}
    policy: dict[str, Any] = msgspec.json.decode(kept)
    return {**policy, "Statement": [each for each in statements(policy) if isinstance(each, dict)]}


def _with_policy(settings: QueueSettings, policy: dict[str, Any]) -> QueueSettings:
    annotations = {name: value for name, value in settings.annotations.items() if name != POLICY}
    if policy["Statement"]:
        annotations[POLICY] = msgspec.json.encode(policy).decode()
    return replace(settings, annotations=annotations)


def _one_or_all(items: list[str]) -> str | list[str]:
    return items[0] if len(items) == 1 else items
