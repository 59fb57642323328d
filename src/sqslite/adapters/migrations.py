"""Migrations: numbered SQL files, applied in order and once, by whichever node comes first."""

import re
from collections.abc import Collection
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from msgspec import Struct

from sqslite.domain.errors import SchemaTooNew

_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql", re.ASCII)


class Migration(Struct, frozen=True):
    """One step of the schema; `name` is the file's, without its ending."""

    version: int
    name: str
    sql: str


def load_migrations(technology: str) -> list[Migration]:
    """The migrations of "postgres" or "sqlite", in order."""
    found = [
        Migration(int(match[1]), match[0].removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in (_folder() / technology).iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def pending(migrations: list[Migration], applied: Collection[int]) -> list[Migration]:
    """Those not applied yet. Raises SchemaTooNew where a version was applied that this sqslite does not know."""
    unknown = set(applied) - {migration.version for migration in migrations}
    if unknown:
        raise SchemaTooNew(
            f"the database schema is at version {max(unknown)}, made by a newer sqslite; "
            f"this one knows up to version {migrations[-1].version}: upgrade sqslite, nothing was changed"
        )
    return [migration for migration in migrations if migration.version not in applied]


def _folder() -> Traversable:
    """The wheel carries the top-level `migrations/` in the package; a checkout has it beside `src/`."""
    packaged = files("sqslite") / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "migrations"
