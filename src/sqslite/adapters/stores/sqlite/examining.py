"""What an operator of a SQLite file can set right."""

import shutil
from datetime import datetime
from pathlib import Path

from sqslite.adapters.examination import Finding, Health, schema_finding
from sqslite.adapters.migrations import load_migrations
from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import instant_of
from sqslite.adapters.stores.statements import load_statements

DISK_BYTES_MIN = 256 * 1024 * 1024
LOG_BYTES_MAX = 256 * 1024 * 1024
FREE_BYTES_MIN = 64 * 1024 * 1024
FREE_SHARE_MAX = 0.5
CLOCK_STEP_S_MAX = 1.0
HOT_INDEXES = frozenset(
    {
        "messages_ready",
        "messages_in_flight",
        "messages_expiring",
        "messages_in_group",
        "messages_due_in_group",
        "messages_delivered_in_group",
        "messages_of_attempt",
    }
)
_SQL = load_statements(__package__)


async def examined(connections: Connections, path: Path, now: datetime) -> list[Finding]:
    """All findings; changes nothing."""
    schema = await _schema(connections)
    # Of tables that are not there yet, or may be others, nothing can be said.
    of_tables = [await _indexes(connections), await _clock(connections, now)] if schema.health is Health.FINE else []
    return [
        schema,
        *of_tables,
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


async def _indexes(connections: Connections) -> Finding:
    there = {row["name"] for row in await connections.read(_SQL["examine_indexes"], {})}
    missing = sorted(HOT_INDEXES - there)
    if not missing:
        return Finding("indexes", Health.FINE, "all are there")
    return Finding("indexes", Health.FAULT, f"missing: {', '.join(missing)}", "create them anew as the migrations do")


async def _clock(connections: Connections, now: datetime) -> Finding:
    """A clock that was set back shows in messages that are enqueued later than now."""
    ((newest,),) = await connections.read(_SQL["examine_newest"], {})
    ahead_s = 0.0 if newest is None else (instant_of(newest) - now).total_seconds()
    if ahead_s <= CLOCK_STEP_S_MAX:
        return Finding("clock", Health.FINE, "not behind the newest messages")
    found = f"a message was enqueued {ahead_s:.0f} s from now: the clock was set back"
    advice = "run a time service; leases, delays and retention that began before last so much longer"
    return Finding("clock", Health.WARNING, found, advice)


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
