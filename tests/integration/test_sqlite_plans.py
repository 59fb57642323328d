"""The statements stay on their indexes, however long the backlog."""

import asyncio
import contextlib
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.limits import RETENTION_MS_DEFAULT
from sqslite.domain.queues import QueueSettings
from sqslite.domain.redrive import Redrive
from tests.conformance.world import World, message

STATEMENTS = load_statements("sqslite.adapters.stores.sqlite")
KEY = "INTEGER PRIMARY KEY"
GROUP_KEY = "sqlite_autoindex_message_groups_1"
DEDUP_KEY = "sqlite_autoindex_dedup_1"
# For each statement that finds rows in a table that grows, all the indexes by which it finds them.
INDEXES_OF = {
    "ack": {KEY},
    "ack_unproven": {KEY},
    "blocked_by": {"messages_delivered_in_group", "messages_in_group", KEY},
    "claim": {"messages_ready", KEY},
    "claim_again": {"messages_of_attempt"},
    "claim_chosen": {KEY},
    "claimable": {"messages_ready", "messages_in_flight"},
    "dedup_known": {DEDUP_KEY},
    "depths": {"messages_ready"},
    "examine_newest": {KEY},
    "expire": {"messages_expiring", KEY},
    "expired": {"messages_in_flight"},
    "expired_in_partition": {"messages_in_flight"},
    "extend": {KEY},
    "group_emptied": {GROUP_KEY, "messages_in_group", "messages_delivered_in_group"},
    "group_heads_fair": {"messages_due_in_group", KEY},
    "group_heads_fifo": {"messages_in_group", KEY},
    "group_looked_at": {GROUP_KEY},
    "group_requeued": {GROUP_KEY},
    "group_served": {GROUP_KEY},
    "groups_blocked": {"messages_delivered_in_group"},
    "groups_come_due": {"message_groups_in_turn"},
    "groups_empty_handed": {"messages_due_in_group", "messages_in_group", "messages_delivered_in_group"},
    "groups_in_turn": {"message_groups_in_turn"},
    "held": {KEY},
    "next_due": {"messages_in_flight"},
    "peek_leased": {"messages_in_flight"},
    "peek_unleased": {"messages_ready"},
    "redrive_advance": {KEY},
    "redrive_candidates": {"messages_ready"},
    "redrive_end": {KEY},
    "redrive_find": {KEY},
    "redrive_held": {KEY},
    "redrive_movable": {KEY},
    "redrive_move": {KEY},
    "redrive_page": {"redrives_of_partition"},
    "redrive_running": {"redrives_running"},
    "retain_messages": {KEY},
    "retain_page": {KEY},
    "settle_move": {KEY},
    "settle_requeue": {KEY},
    "sight": {KEY},
    "tidy_dedup": {DEDUP_KEY, KEY},
    "tidy_dedup_past": {"dedup_expiring", KEY},
    "tidy_groups": {GROUP_KEY, KEY},
    "tidy_leased": {"messages_in_flight", KEY},
    "tidy_redrives_past": {"redrives_ended", KEY},
    "tidy_redrives": {"redrives_of_partition", KEY},
    "tidy_unleased": {"messages_ready", KEY},
}
# One running task a queue at most: all that run may be gone through.
SCANS_RUNNING_TASKS = "redrive_take"
GROWING_TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE)\s+(?:messages|message_groups|dedup|redrives)\b")
STEP_ON_GROWING_TABLE = re.compile(r"(SCAN|SEARCH) (?:messages|message_groups|dedup|redrives)\b(?: USING (.*))?")
LISTS = {"ids", "partition_ids", "groups", "dedup_ids"}


async def fill(path: Path) -> None:
    """A backlog of every kind, in queues and in dropped partitions."""
    clock = VirtualClock()
    backend = SqliteBackend(path, clock)
    await backend.open()
    await backend.migrate()
    world = World(backend, clock, backend.store)
    kinds = [("orders", QueueSettings()), ("fair", QueueSettings(fair=True)), ("fifo", QueueSettings(fifo=True))]
    for name, settings in kinds:
        queue = await world.queue(name, settings)
        for dropped in (True, False):
            messages = [
                message(group_id=f"group-{n % 20}", dedup_id=f"{n}", retention_ms=RETENTION_MS_DEFAULT)
                for n in range(1_000)
            ]
            await world.enqueue(queue, *messages)
            await world.claim(queue, 500, attempt_id="attempt")
            await world.redrives.create(Redrive(queue=name, partition_id=queue.partition_id, created_at=world.now))
            if dropped:
                queue = await world.catalog.renew(name)
    await backend.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(
            "INSERT INTO redrives (partition_id, queue, state, created_at)"
            " SELECT partition_id, 'orders', 'completed', 0 FROM messages"
        )
        database.commit()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "queue.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def database(filled: Path, tmp_path: Path):
    with contextlib.closing(sqlite3.connect(shutil.copy(filled, tmp_path))) as database:
        yield database


def plan_of(database: sqlite3.Connection, name: str) -> list[str]:
    statement = STATEMENTS[name]
    parameters = {key: "[1]" if key in LISTS else 1 for key in re.findall(r":(\w+)", statement)}
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def test_every_statement_that_finds_rows_in_a_growing_table_is_held_to_its_indexes():
    finding = {name for name, statement in STATEMENTS.items() if GROWING_TABLE.search(statement)}
    assert finding == {*INDEXES_OF, SCANS_RUNNING_TASKS}


@pytest.mark.parametrize("analyzed", [False, True], ids=["as migrated", "analyzed"])
@pytest.mark.parametrize("name", INDEXES_OF)
def test_a_statement_uses_its_indexes_and_neither_scans_nor_sorts(database: sqlite3.Connection, name: str, analyzed):
    if analyzed:
        database.execute("ANALYZE")
    plan = plan_of(database, name)
    steps = [match for step in plan if (match := STEP_ON_GROWING_TABLE.fullmatch(step))]
    assert {step[1] for step in steps} == {"SEARCH"}, plan
    assert {index for step in steps for index in INDEXES_OF[name] if index in step[2]} == INDEXES_OF[name], plan
    assert all(any(index in step[2] for index in INDEXES_OF[name]) for step in steps), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("name", ["claim", "group_heads_fair", "group_heads_fifo", "depths"])
def test_what_may_be_claimed_is_found_without_reading_a_message(database: sqlite3.Connection, name: str):
    searches = [step for step in plan_of(database, name) if "SEARCH messages" in step and KEY not in step]
    assert searches
    assert all("COVERING INDEX" in step for step in searches), searches
