"""Access keys: who may call the SQS API, and on which queues."""

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

# AWS IAM user guide: an access key id has 16 to 128 word characters.
_KEY_ID = re.compile(r"\w{1,128}", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,80}", re.ASCII)
ACCESS_KEYS_ALLOWED = (
    "keys with a space between them, each as id:secret or id:secret:queue,pattern-*,… (ids of the characters "
    "A-Z a-z 0-9 _; secrets without spaces and colons; patterns of queue names with * and ?)"
)


class AccessKey(Struct, frozen=True):
    """One caller: the id it names, the secret it signs with, and the queues it may use; its text hides the secret.

    `queues` are patterns of queue names, in which `*` stands for any characters and `?` for one.
    """

    id: str
    secret: str
    queues: tuple[str, ...] = ("*",)

    def may_use(self, queue: str) -> bool:
        """Whether this caller has rights on the queue of that name."""
        return any(fnmatch.fnmatchcase(queue, pattern) for pattern in self.queues)

    def __str__(self) -> str:
        return f"{self.id}:***:{','.join(self.queues)}"

    __repr__ = __str__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id), ("queues", self.queues)]


class AccessKeys(Struct, frozen=True):
    """All the callers there are; none means that calls are not verified."""

    by_id: Mapping[str, AccessKey] = {}

    @classmethod
    def parse(cls, text: str) -> "AccessKeys":
        """The keys in the text of ACCESS_KEYS_ALLOWED; ValueError, which does not repeat the text, where it is none."""
        keys = [_parse_key(part) for part in text.split()]
        if len({key.id for key in keys}) < len(keys):
            raise ValueError("two keys have the same id")
        return cls({key.id: key for key in keys})

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def __str__(self) -> str:
        return " ".join(map(str, self.by_id.values())) or "none"

    __repr__ = __str__


def _parse_key(text: str) -> AccessKey:
    key_id, colon, rest = text.partition(":")
    secret, _, patterns = rest.partition(":")
    queues = tuple(patterns.split(",")) if patterns else ("*",)
    if not (colon and _KEY_ID.fullmatch(key_id) and secret and all(map(_PATTERN.fullmatch, queues))):
        raise ValueError("a key is not as it must be")
    return AccessKey(key_id, secret, queues)
