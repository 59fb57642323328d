"""How PostgreSQL carries statements out that it plans for what they are given, and what a cluster would allow."""

import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import BEGINNING
from sqslite.adapters.stores.postgres.claiming import CANDIDATES_MAX
from sqslite.adapters.stores.postgres.database import statement_texts, with_time
from sqslite.adapters.stores.postgres.stats import PAGES_MAX
from sqslite.domain.leases import SECRET_BYTES
from sqslite.domain.limits import ATTEMPT_MS, DEPTH_EXACT_MAX, VISIBILITY_MS_MAX
from sqslite.domain.queues import QueueSettings
from tests.integration.conftest import TABLES

STATEMENTS = statement_texts()
# What standard queues live on: one statement a call.
HOT = ("enqueue", "claim", "ack", "extend", "held", "expired", "settle_requeue", "settle_dead_letter", "settle_delete")
GROUPED = (
    "enqueue_groups", "enqueue_drawn", "enqueue_grouped", "dedup_keep", "dedup_find", "claim_replay", "claim_groups",
    "claim_group", "claim_fifo", "claim_fair", "claim_groups_done", "ack_in_groups", "extend_groups",
)  # fmt: skip
OTHERS = (
    "ack_unproven", "whereabouts", "expired_anywhere", "next_due", "claimable", "expire", "tidy_messages",
    "tidy_groups", "tidy_dedup", "tidy_partition", "tidy_past_dedup", "depths", "depths_estimated", "peek_ready",
    "peek_delayed", "peek_leased", "sight", "sight_blocker", "redrive_candidates", "redrive_move", "retain_page",
    "retain_messages",
)  # fmt: skip
MESSAGES = 50_000
EMPTY = f"TRUNCATE {', '.join(f'sqslite.{table}' for table in TABLES)} RESTART IDENTITY"
OWN, LEASED_EVERY, OTHER = 1, 10, 2
UNKNOWN = 1_000
# Among the queues are two whose messages are in groups: one in many, one in a single one.
MANY, LONE = 18, 19
GROUPS = 10_000

# Partition 1 holds three quarters of the messages, others the rest; every tenth message is leased, and expires.
FILL = """
INSERT INTO sqslite.messages
    (partition_id, enqueued_at, not_before, max_retries, body_kind, body, lease_until, claimed_at, delivery_count,
    receipt_secret, expires_at)
SELECT
    CASE WHEN n % 20 < 15 THEN 1 ELSE n % 20 END, at, at, 5, 'json', convert_to(rpad(n::text, 500), 'utf8'),
    CASE WHEN n % 10 = 0 THEN now() + n * interval '1 ms' END,
    CASE WHEN n % 10 = 0 THEN now() END,
    CASE WHEN n % 10 = 0 THEN 1 ELSE 0 END,
    CASE WHEN n % 10 = 0 THEN decode(lpad(to_hex(n), 32, '0'), 'hex') END,
    CASE WHEN n % 10 = 1 THEN now() + (n - 1000) * interval '1 s' END
FROM generate_series(1, {count}) AS n, LATERAL (SELECT now() - interval '1 hour' + n * interval '1 ms' AS at) AS times
"""
# In each group of the many and at the head of the lone one, a message is leased.
FILL_GROUPS = """
INSERT INTO sqslite.messages
    (partition_id, group_id, enqueued_at, not_before, max_retries, body_kind, body, lease_until, claimed_at,
    delivery_count, attempt_id)
SELECT
    CASE WHEN n % 2 = 0 THEN 18 ELSE 19 END, CASE WHEN n % 2 = 0 THEN 'g' || n / 2 % {groups} ELSE 'lone' END, at, at,
    5, 'json', convert_to(rpad(n::text, 100), 'utf8'), CASE WHEN leased THEN now() + interval '1 h' END,
    CASE WHEN leased THEN now() END, leased::integer, CASE WHEN leased THEN 'again' END
FROM generate_series(1, {count}) AS n,
    LATERAL (SELECT now() - interval '1 hour' + n * interval '1 us' AS at, n % 2 = 0 AND n % 3 = 0 AS leased) AS facts
"""
FILL_GROUP_ROWS = """
INSERT INTO sqslite.message_groups (partition_id, group_id, turn, look_at)
SELECT partition_id, group_id, row_number() OVER (), now() - interval '1 hour'
FROM (SELECT DISTINCT partition_id, group_id FROM sqslite.messages WHERE group_id IS NOT NULL) AS there
"""
FILL_DEDUP = """
INSERT INTO sqslite.dedup (partition_id, dedup_id, message_id, expires_at)
SELECT 1 + n % 20, 'd' || n, n, now() + (n - 1000) * interval '1 s' FROM generate_series(1, {count}) AS n
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres_store_url: str) -> AsyncIterator[PostgresBackend]:
    backend = PostgresBackend(postgres_store_url, pool_size=2)
    await backend.open()
    await backend.migrate()
    run = runner(backend)
    await run(EMPTY)
    for number in range(1, 21):
        await backend.catalog.ensure(f"queue-{number}", QueueSettings())
    await run(FILL.replace("{count}", str(MESSAGES)))
    await run(FILL_GROUPS.replace("{groups}", str(GROUPS)).replace("{count}", str(2 * MESSAGES)))
    await run(FILL_GROUP_ROWS)
    await run(FILL_DEDUP.replace("{count}", str(MESSAGES)))
    await run("VACUUM ANALYZE sqslite.messages, sqslite.message_groups, sqslite.dedup")
    yield backend
    await run(EMPTY)
    await backend.close()


def runner(backend: PostgresBackend):
    async def run(sql: str) -> None:
        async with backend._connections._pool.connection() as connection:
            # To fill a table takes longer than any call may.
            await connection.execute(b"SET statement_timeout = 0")
            await connection.execute(sql.encode())
            await connection.execute(b"RESET statement_timeout")

    return run


def _parameters(name: str, count: int) -> list[object]:
    ids = [LEASED_EVERY * n for n in range(1, count + 1)]
    secrets = [message_id.to_bytes(SECRET_BYTES, "big") for message_id in ids]
    now = datetime.now(UTC)
    settled = [OWN, ids, b"".join(secrets), [now] * count, [now] * count, ["boom"] * count]
    texts, zeros = ["text"] * count, [0] * count
    moved = [[OTHER] * count, [True] * count, ["queue-1"] * count, zeros, texts, [now] * count]
    sent = [OWN, [b"1"] * count, texts, texts, zeros, zeros, [5] * count, texts, texts, [f"g{n}" for n in ids]]
    claim = [count, 1_000, os.urandom(SECRET_BYTES * count)]
    groups = [f"g{n}" for n in range(count)]
    return {
        "enqueue": sent,
        "enqueue_grouped": sent,
        "enqueue_drawn": [*sent, [True] * count, [10**9 + n for n in ids], texts],
        "enqueue_groups": [OWN, groups, zeros],
        "dedup_keep": [OWN, [f"d{n}" for n in ids], ids, 1_000],
        "dedup_find": [OWN, [f"d{n}" for n in ids]],
        "claim": [OWN, *claim, BEGINNING, None],
        "claim_replay": [MANY, "nobody", ATTEMPT_MS],
        "claim_groups": [MANY, count, None],
        "claim_group": [MANY, "g1"],
        "claim_fifo": [MANY, *claim, None, max(1, CANDIDATES_MAX // len(groups)), groups, ids, True],
        "claim_fair": [MANY, *claim, None, max(1, CANDIDATES_MAX // len(groups)), groups],
        "claim_groups_done": [MANY, groups, [1] * count, True],
        "ack": [OWN, ids, b"".join(secrets)],
        "ack_in_groups": [OWN, ids, b"".join(secrets)],
        "ack_unproven": [ids],
        "extend": [OWN, ids, b"".join(secrets), [1_000] * count, VISIBILITY_MS_MAX, False],
        "extend_groups": [MANY, ids],
        "held": [OWN, ids],
        "whereabouts": [ids],
        "expired": [OWN, count],
        "expired_anywhere": [count],
        "next_due": [],
        "claimable": [[f"queue-{n}" for n in range(count)]],
        "expire": [count],
        "settle_requeue": settled,
        "settle_delete": settled[:4],
        "settle_dead_letter": [*settled, *moved],
        "tidy_messages": [OTHER, count],
        "tidy_groups": [MANY, count],
        "tidy_dedup": [OTHER, count],
        "tidy_partition": [OTHER],
        "tidy_past_dedup": [count],
        "depths": [[1, 2, 16], DEPTH_EXACT_MAX + 1],
        "depths_estimated": [[1, 2, 16], PAGES_MAX],
        "peek_ready": [OWN, now - timedelta(minutes=30), 1, count],
        "peek_delayed": [OWN, now, 1, count],
        "peek_leased": [OWN, now, 1, count],
        "retain_page": [1, count],
        "retain_messages": [OWN, ids, 60_000, 30_000],
        "sight": [1],
        "sight_blocker": [MANY, "g1", 1],
        "redrive_candidates": [OWN, now - timedelta(minutes=30), 1, now, count],
        "redrive_move": [OWN, ids, [OTHER] * count, [True] * count, texts, zeros],
    }[name]


async def _plan(backend: PostgresBackend, name: str, parameters: list[object], how: str = "") -> str:
    sql = f"EXPLAIN {how} " + with_time(STATEMENTS[name], injected=False)
    return "\n".join(line for (line,) in await backend._connections.read(sql.encode(), parameters))


@pytest.mark.parametrize("count", [1, 10, 1_000])
@pytest.mark.parametrize("name", [*HOT, *GROUPED, *OTHERS])
@pytest.mark.asyncio(loop_scope="module")
async def test_no_statement_reads_the_whole_table_or_sorts_the_backlog(filled: PostgresBackend, name: str, count: int):
    plan = await _plan(filled, name, _parameters(name, count))
    assert not re.search(r"Seq Scan on (messages|message_groups|dedup)", plan), plan
    for rows in re.findall(r"Sort +\(cost=\S+ rows=(\d+)", plan):
        assert int(rows) <= max(CANDIDATES_MAX, MESSAGES // LEASED_EVERY // 10), plan


@pytest.mark.parametrize("name", ["ack", "ack_in_groups", "settle_requeue", "settle_dead_letter", "settle_delete"])
@pytest.mark.asyncio(loop_scope="module")
async def test_in_a_partition_that_statistics_do_not_know_not_each_is_compared_with_each(
    filled: PostgresBackend, name: str
):
    _, *parameters = _parameters(name, 1_000)
    plan = await _plan(filled, name, [UNKNOWN, *parameters])
    assert not re.search(r"Function Scan on (?:unnest|settled|proven)", plan), plan


@pytest.mark.parametrize("count", [1, 10, 1_000])
@pytest.mark.parametrize("statement", ["claim_fifo", "claim_fair"])
@pytest.mark.parametrize("partition_id", [MANY, LONE], ids=["many groups", "a lone one"])
@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_claim_by_groups_reads_is_bounded(
    filled: PostgresBackend, statement: str, partition_id: int, count: int
):
    """Whatever the backlog: carried out, and rolled back."""
    groups = [f"g{n}" for n in range(count)] if partition_id == MANY else ["lone"]
    each_max = min(count, max(1, CANDIDATES_MAX // len(groups)))
    claim = [partition_id, count, 1_000, os.urandom(SECRET_BYTES * count), None, each_max, groups]
    claim += [[], True] if statement == "claim_fifo" else []
    for name, parameters in (
        ("claim_groups", [partition_id, count, None]),
        (statement, claim),
        ("claim_groups_done", [partition_id, groups, [1] * len(groups), statement == "claim_fifo"]),
    ):
        plan = await _carried_out(filled, name, parameters)
        bound = max(1_000, 20 * count)
        for node, rows, loops in re.findall(r"(\w+ (?:Only )?Scan[^(]*) .*actual rows=([\d.]+) loops=(\d+)", plan):
            assert float(rows) * int(loops) <= bound, (node, plan)
        for rows in re.findall(r"Rows Removed by (?:Join )?Filter: (\d+)", plan):
            assert int(rows) <= bound, plan


async def _carried_out(backend: PostgresBackend, name: str, parameters: list[object]) -> str:
    plans = []

    class Undone(Exception):
        pass

    async def work(session) -> None:
        sql = "EXPLAIN (ANALYZE, TIMING OFF) " + with_time(STATEMENTS[name], injected=False)
        rows = await (await session.execute(sql.encode(), parameters, binary=True)).fetchall()
        plans.append("\n".join(line for (line,) in rows))
        raise Undone

    with pytest.raises(Undone):
        await backend._connections.transact(work)
    return plans[0]


@pytest.mark.parametrize("name", HOT)
def test_every_hot_statement_names_its_partition_once_per_table(name: str):
    text = STATEMENTS[name]
    reads = len(re.findall(r"(?:FROM|JOIN|UPDATE) sqslite\.(?:messages|message_groups|queues)", text))
    named = len(re.findall(r"\bpartition_id = \$1(?!\d)", text))
    # The queues' rows are everywhere; the one that a dead letter goes to is another one.
    elsewhere = len(re.findall(r"partition_id = \(\$7::bigint\[\]\)\[settled\.place\]", text))
    assert named + elsewhere == reads


# Those that examine a database ask for the time and change nothing.
@pytest.mark.parametrize("name", [name for name in STATEMENTS if not name.startswith("examine_")])
def test_no_statement_does_what_a_cluster_refuses(name: str):
    text = STATEMENTS[name]
    # Where nobody waits long and nothing else would do: a lock on an attempt's name.
    forbidden = r"clock_timestamp|random\(|gen_random|coalesce\(\$|LOCK TABLE|\bSET LOCAL\b"
    if name != "claim_attempt":
        forbidden += "|pg_advisory"
    assert not re.search(forbidden, text, re.IGNORECASE)
    for statement in re.findall(r"(?:UPDATE|DELETE) .*?(?=\n\)|\Z)", text, re.DOTALL):
        assert "nextval" not in statement, "a volatile function in what changes rows"
    returning = re.search(r"RETURNING\s+([^)]*?)(?:\n\)|$)", text, re.DOTALL)
    if returning and not name.startswith("queue_"):
        assert re.fullmatch(r"[\w.,:\s]+", returning[1]), "RETURNING takes bare columns"
    # What a write computes from the time must not involve a column of the table that it changes.
    assert not re.search(r"[mg]\.\w+ [+-] [^\n]*\{now\}|\{now\} [+-] [mg]\.", text)


@pytest.mark.parametrize("name", ["claim", "claim_fifo", "claim_fair", *[n for n in HOT if n.startswith("settle")]])
def test_rows_are_picked_and_locked_once(name: str):
    """A plain sub-select may be run again for each row, and lock more than it was asked for."""
    before_lock = STATEMENTS[name].partition("FOR UPDATE")[0]
    assert re.findall(r"^(?:WITH )?\w+ AS (MATERIALIZED )?\($", before_lock, re.MULTILINE)[-1]
    assert "SKIP LOCKED" in STATEMENTS[name] or "ORDER BY m.id" in before_lock
