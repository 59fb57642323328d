"""What the examination of a storage finds, for those who operate it."""

import enum
from collections.abc import Collection, Sequence

from msgspec import Struct

from sqslite.adapters.migrations import Migration, pending
from sqslite.domain.errors import SchemaTooNew


class Health(enum.StrEnum):
    """How something that was examined is."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and will not for ever or not as well as it could."""
    FAULT = "fault"
    """It does not work, or messages may be lost."""


class Finding(Struct, frozen=True):
    """What the examination of one thing found, and what to do about it; nothing where it is fine."""

    subject: str
    health: Health
    found: str
    advice: str = ""


def schema_finding(migrations: Sequence[Migration], applied: Collection[int]) -> Finding:
    """How the schema of a database to which those versions were applied stands."""
    try:
        missing = [migration.name for migration in pending(list(migrations), applied)]
    except SchemaTooNew as refusal:
        return Finding("schema", Health.FAULT, str(refusal), "upgrade this sqslite to the version that was here")
    if not missing:
        return Finding("schema", Health.FINE, f"up to date ({migrations[-1].name})")
    return Finding("schema", Health.FAULT, f"{len(missing)} migrations are missing", "run `sqslite migrate`")
