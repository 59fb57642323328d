"""What an operator of a SQLite file can set right."""

import shutil
from pathlib import Path

from sqslite.adapters.examination import Finding, Health, schema_finding
from sqslite.adapters.migrations import load_migrations
from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.statements import load_statements

DISK_BYTES_MIN = 256 * 1024 * 1024
LOG_BYTES_MAX = 256 * 1024 * 1024
FREE_BYTES_MIN = 64 * 1024 * 1024
FREE_SHARE_MAX = 0.5
_SQL = load_statements(__package__)


async def examined(connections: Connections, path: Path) -> list[Finding]:
    """All findings; changes nothing."""
    return [
        await _schema(connections),
        await _integrity(connections),
        await _journal(connections),
        _log(path),
        await _pages(connections, path),
        _disk(path),
    ]


async def _schema(connections: Connections) -> Finding:
    known = await connections.read(_SQL["examine_migrations"], {})
    applied = [row["version"] for row in await connections.read(_SQL["migrate_applied"], {})] if known else []
    return schema_finding(load_migrations("sqlite"), applied)


async def _integrity(connections: Connections) -> Finding:
    ((found,),) = await connections.read(_SQL["examine_check"], {})
    if found == "ok":
        return Finding("file", Health.FINE, "sound")
    return Finding("file", Health.FAULT, str(found), "restore a backup; `sqlite3 file.db .recover` saves what it can")


async def _journal(connections: Connections) -> Finding:
    ((mode,),) = await connections.read(_SQL["examine_journal"], {})
    if mode == "wal":
        return Finding("durability", Health.FINE, "write-ahead log, on disk before a commit is answered")
    advice = "put the file on a local disk: network file systems have no write-ahead log"
    return Finding("durability", Health.FAULT, f"journal mode {mode}", advice)


def _log(path: Path) -> Finding:
    log = path.with_name(f"{path.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size <= LOG_BYTES_MAX:
        return Finding("log", Health.FINE, f"{size // 1024} KiB")
    advice = "end the reader that keeps it from being moved into the file: a long transaction in another program"
    return Finding("log", Health.WARNING, f"{size // 1024**2} MiB", advice)


async def _pages(connections: Connections, path: Path) -> Finding:
    (row,) = await connections.read(_SQL["examine_pages"], {})
    free = row["free_pages"] * row["page_bytes"]
    found = f"{row['pages'] * row['page_bytes'] // 1024} KiB, {free // 1024} KiB of it empty"
    if free <= FREE_BYTES_MIN or row["free_pages"] <= FREE_SHARE_MAX * row["pages"]:
        return Finding("space", Health.FINE, found)
    return Finding("space", Health.WARNING, found, f"stop the server and run `sqlite3 {path.name} VACUUM`")


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    found = f"{free // 1024**2} MiB are free"
    if free >= DISK_BYTES_MIN:
        return Finding("disk", Health.FINE, found)
    return Finding("disk", Health.FAULT, found, "make room: without it nothing can be enqueued")
