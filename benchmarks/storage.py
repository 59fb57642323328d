"""What messages do to PostgreSQL's storage: blocks, WAL and rows per message, and bloat after millions of them."""

import asyncio
import sys
import time
from dataclasses import dataclass

import psycopg

from benchmarks import report
from benchmarks.direct import DirectQueue, direct_queue
from benchmarks.explained import EXPLAINED, Cost, explained_queue
from benchmarks.filling import fill
from benchmarks.servers import postgres_server, scratch

QUEUE = "storage"
BACKLOG = 10_000
COUNTS = (1, 10, 100)
ROUNDS = 30
PARTITIONS = 8
WINDOWS = 10
BATCH = 500
AT_ONCE = 4
MIB = 1024 * 1024

# The same table, indexes included, in parts by the hash of the queue's partition.
PARTITIONED = """
    ALTER TABLE sqslite.messages RENAME TO messages_whole;
    CREATE TABLE sqslite.messages (LIKE sqslite.messages_whole INCLUDING ALL) PARTITION BY HASH (partition_id);
    DROP TABLE sqslite.messages_whole;
"""
PARTITION = """
    CREATE TABLE sqslite.messages_{place} PARTITION OF sqslite.messages
    FOR VALUES WITH (MODULUS {partitions}, REMAINDER {place})
"""
# What the migration "storage tuning" has set.
UNTUNED = """
    ALTER TABLE sqslite.messages RESET (
        autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor,
        autovacuum_analyze_threshold, autovacuum_vacuum_cost_delay
    )
"""
STATE = """
    SELECT pg_table_size(relid), pg_indexes_size(relid), n_dead_tup, autovacuum_count
    FROM pg_stat_user_tables WHERE relid = 'sqslite.messages'::regclass
"""
ROWS = """
    SELECT sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_hot_upd), sum(n_tup_del)
    FROM pg_stat_user_tables WHERE schemaname = 'sqslite' AND relname LIKE 'messages%'
"""
INDEXES = """
    SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes
    WHERE relid = 'sqslite.messages'::regclass ORDER BY 1
"""
STATEMENT_COLUMNS = (
    "table, call, messages",
    "planning of whole",
    "execution of whole",
    "blocks/message",
    "dirtied/message",
    "WAL bytes/message",
    "WAL records/message",
    "planning ms",
    "execution ms",
)
FLOW_COLUMNS = ("messages", "of the first", "messages/s", "table MiB", "indexes MiB", "dead rows", "autovacuums")


@dataclass(frozen=True)
class State:
    """The table at one moment."""

    table_bytes: int
    index_bytes: int
    dead_rows: int
    vacuums: int


def statements(*, markdown: bool) -> None:
    """Blocks, WAL and time of each call, on the table as it is and on a partitioned one."""
    title = f"One call of the store on a queue of {BACKLOG:,}, by EXPLAIN ANALYZE, on average of {ROUNDS}"
    made = report.table(title, STATEMENT_COLUMNS, markdown=markdown)
    with scratch() as folder, postgres_server() as database:
        remarks = report.machine(folder)
        whole = database.fresh_database("bench_whole")
        parted = database.fresh_database("bench_parted")
        for url in (whole, parted):
            asyncio.run(_migrate(url))
        _partition(parted)
        for count in COUNTS:
            costs = [asyncio.run(_explained(url, count)) for url in (whole, parted)]
            for call in EXPLAINED:
                for name, cost in zip(
                    ("whole", f"{PARTITIONS} partitions"), [each[call] for each in costs], strict=True
                ):
                    made.add_row(
                        f"{name}, {call}, {count}",
                        f"{cost.planning_ms / costs[0][call].planning_ms:.2f}",
                        f"{cost.execution_ms / costs[0][call].execution_ms:.2f}",
                        f"{cost.blocks / count:.1f}",
                        f"{cost.dirtied / count:.2f}",
                        f"{cost.wal_bytes / count:,.0f}",
                        f"{cost.wal_records / count:.1f}",
                        f"{cost.planning_ms:.2f}",
                        f"{cost.execution_ms:.2f}",
                    )
        remarks.append(_rows_written(whole))
    report.show(made, remarks)


def flow(*, messages: int, tuned: bool, markdown: bool) -> None:
    """Let that many messages through one queue, at a steady backlog, and show what becomes of the table."""
    settings = "the migration's settings" if tuned else "the server's own settings"
    title = f"{messages:,} messages through one queue of {BACKLOG:,}, in batches of {BATCH}; autovacuum with {settings}"
    made = report.table(title, FLOW_COLUMNS, markdown=markdown)
    with scratch() as folder, postgres_server() as database:
        remarks = report.machine(folder)
        url = database.fresh_database("bench_flow")
        asyncio.run(_migrate(url))
        if not tuned:
            with psycopg.connect(url) as connection:
                connection.execute(UNTUNED)
        fill(url, QUEUE, BACKLOG, "ready")
        made.add_row("0", "", "", *_shown(_state(url)))
        first = None
        for window in range(1, WINDOWS + 1):
            began = time.perf_counter()
            asyncio.run(_pass_through(url, messages // WINDOWS))
            speed = messages / WINDOWS / (time.perf_counter() - began)
            first = first or speed
            done = f"{messages * window // WINDOWS:,}"
            print(done, file=sys.stderr)
            made.add_row(done, f"{speed / first:.2f}", f"{speed:,.0f}", *_shown(_state(url)))
        remarks += [_rows_written(url), _bloat(url)]
    report.show(made, remarks)


async def _migrate(url: str) -> None:
    async with direct_queue(url, QUEUE):
        pass


def _partition(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(PARTITIONED)
        for place in range(PARTITIONS):
            connection.execute(PARTITION.format(place=place, partitions=PARTITIONS).encode())


async def _explained(url: str, count: int) -> dict[str, Cost]:
    name = f"{QUEUE}-{count}"
    async with direct_queue(url, name):
        pass
    await asyncio.to_thread(fill, url, name, BACKLOG, "ready")
    async with explained_queue(url, name) as (direct, database):
        # Pages that a checkpoint has made clean go into the WAL whole, once; that is not the message's.
        for _ in range(ROUNDS // 3):
            await _cycle(direct, count)
        database.costs()
        for _ in range(ROUNDS):
            await _cycle(direct, count)
        return database.costs()


async def _cycle(direct: DirectQueue, count: int) -> None:
    await direct.enqueue(count)
    deliveries = await direct.claim(count)
    assert len(deliveries) == count
    await direct.ack(deliveries)


async def _pass_through(url: str, messages: int) -> None:
    """Connections of its own, so that the statistics are complete afterwards."""
    left = messages // BATCH

    async with direct_queue(url, QUEUE) as direct:

        async def cycles() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await _cycle(direct, BATCH)

        await asyncio.gather(*[cycles() for _ in range(AT_ONCE)])


def _state(url: str) -> State:
    with psycopg.connect(url) as observer:
        found = observer.execute(STATE).fetchone()
    assert found is not None
    return State(*found)


def _shown(state: State) -> list[str]:
    sizes = [f"{size / MIB:.1f}" for size in (state.table_bytes, state.index_bytes)]
    return [*sizes, f"{state.dead_rows:,}", f"{state.vacuums:,}"]


def _rows_written(url: str) -> str:
    with psycopg.connect(url) as observer:
        found = observer.execute(ROWS).fetchone()
    assert found is not None
    inserted, updated, hot, deleted = found
    return f"Rows: {inserted:,} inserted, {updated:,} updated ({hot:,} of them HOT), {deleted:,} deleted."


def _bloat(url: str) -> str:
    """How large each index is, and how large it would be if it were made anew."""
    with psycopg.connect(url, autocommit=True) as connection:
        before = connection.execute(INDEXES).fetchall()
        connection.execute("REINDEX TABLE sqslite.messages")
        after = connection.execute(INDEXES).fetchall()
    sizes = [
        f"{name} {size / MIB:.1f} ({anew / MIB:.1f} made anew)"
        for (name, size), (_, anew) in zip(before, after, strict=True)
    ]
    return f"Indexes at the end, MiB: {', '.join(sizes)}."
