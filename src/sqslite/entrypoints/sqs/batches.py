"""Batches: what is checked of all of them, and how the outcome of each entry is told."""

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqslite.entrypoints.sqs.errors import Kind, SqsError, missing
from sqslite.entrypoints.sqs.inputs import Text, text

ENTRIES_MAX = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
ID_ALLOWED = (
    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters "
    "long."
)


class Identified(Protocol):
    """An entry of a batch."""

    @property
    def id(self) -> Text:
        """What the sender calls it."""
        ...


E = TypeVar("E", bound=Identified)
Outcome = dict[str, object]


def checked(entries: Sequence[E | None] | None, member: str) -> dict[str, E]:
    """The entries by their ids. Raises SqsError where the batch as a whole is refused."""
    if entries is None:
        raise missing("Entries")
    if not entries:
        raise SqsError(Kind.BATCH_EMPTY, f"There should be at least one {member} in the request.")
    if len(entries) > ENTRIES_MAX:
        raise SqsError(
            Kind.BATCH_TOO_MANY, f"Maximum number of entries per request are 10. You have sent {len(entries)}."
        )
    by_id: dict[str, E] = {}
    repeated = None
    for number, entry in enumerate(entries, 1):
        entry_id = text(entry.id) if entry is not None else None
        if entry is None or entry_id is None:
            raise missing(f"{member}.{number}.Id")
        if not _ID.fullmatch(entry_id):
            raise SqsError(Kind.BATCH_ID_INVALID, ID_ALLOWED)
        if entry_id in by_id and repeated is None:
            repeated = entry_id
        by_id[entry_id] = entry
    if repeated is not None:
        raise SqsError(Kind.BATCH_IDS_NOT_DISTINCT, f"Id {repeated} repeated.")
    return by_id


def told(outcomes: dict[str, Outcome | SqsError]) -> dict[str, object]:
    """The answer to a batch; a list that would be empty is left out."""
    successful = [{"Id": id_, **outcome} for id_, outcome in outcomes.items() if not isinstance(outcome, SqsError)]
    failed = [_failed(id_, outcome) for id_, outcome in outcomes.items() if isinstance(outcome, SqsError)]
    lists = {"Successful": successful, "Failed": failed}
    return {name: entries for name, entries in lists.items() if entries}


def _failed(id_: str, error: SqsError) -> Outcome:
    return {"Id": id_, "SenderFault": error.wrong.sender, "Code": error.wrong.code, "Message": str(error)}
