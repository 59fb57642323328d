"""The hot statements stay on their indexes, however long the backlog."""

import re
import sqlite3
from pathlib import Path

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.adapters.stores.statements import load_statements
from tests.conformance.world import World, message

STATEMENTS = load_statements("sqslite.adapters.stores.sqlite")
INDEX_OF = {
    "claim": "messages_ready",
    "expired": "messages_in_flight",
    "expired_in_partition": "messages_in_flight",
    "next_due": "messages_in_flight",
    "depths": "messages_ready",
    "ack": "PRIMARY KEY",
    "held": "PRIMARY KEY",
    "extend": "PRIMARY KEY",
    "settle_requeue": "PRIMARY KEY",
    "settle_move": "PRIMARY KEY",
    "peek_unleased": "messages_ready",
    "peek_leased": "messages_in_flight",
    "sight": "PRIMARY KEY",
    "expire": "messages_expiring",
    "group_heads_fifo": "messages_in_group",
    "group_heads_fair": "messages_due_in_group",
    "redrive_candidates": "messages_ready",
}
LISTS = {"ids", "partition_ids"}


@pytest.fixture
async def database(tmp_path: Path):
    """A file whose planner has seen a backlog."""
    clock = VirtualClock()
    backend = SqliteBackend(tmp_path / "queue.db", clock)
    await backend.open()
    await backend.migrate()
    world = World(backend, clock, backend.store)
    queue = await world.queue()
    await world.enqueue(queue, *[message() for _ in range(1_000)])
    await world.claim(queue, 500)
    await backend.close()
    with sqlite3.connect(tmp_path / "queue.db") as database:
        yield database
    database.close()


@pytest.mark.parametrize("analyzed", [False, True], ids=["as migrated", "analyzed"])
@pytest.mark.parametrize("name", INDEX_OF)
def test_a_hot_statement_uses_its_index_and_neither_scans_nor_sorts(database: sqlite3.Connection, name: str, analyzed):
    if analyzed:
        database.execute("ANALYZE")
    statement = STATEMENTS[name]
    parameters = {key: "[1]" if key in LISTS else 1 for key in re.findall(r":(\w+)", statement)}
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    on_messages = [step for step in plan if " messages" in step]
    assert any(INDEX_OF[name] in step for step in on_messages), plan
    assert all(step.startswith("SEARCH messages USING") for step in on_messages), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
