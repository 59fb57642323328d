"""What an operator of PostgreSQL can set right, found by reading its catalogs."""

from datetime import UTC, datetime

from sqslite.adapters.examination import Finding, Health
from sqslite.adapters.stores.postgres.database import Database

SERVER_VERSION_MIN = 13
CLOCK_SKEW_S_MAX = 1.0
SNAPSHOT_S_MAX = 60.0
DEAD_ROWS_MIN = 100_000
DEAD_SHARE_MAX = 0.5
INDEX_BYTES_MIN = 64 * 1024 * 1024
# Measured: an entry of these indexes has 40 to 80 bytes; more by far means pages that are mostly empty.
INDEX_BYTES_PER_ROW_MAX = 500
HOT_INDEXES = ("messages_pkey", "messages_ready", "messages_in_flight", "messages_expiring", "messages_in_group")


async def examined(database: Database, pool_size: int) -> list[Finding]:
    """All findings but those about the schema; changes nothing."""
    settings = {str(name): str(setting) for name, setting in await database.read("examine_settings")}
    return [
        _version(int(settings["server_version_num"]) // 10_000),
        _durability(settings),
        _connections(int(settings["max_connections"]), pool_size),
        await _clock(database),
        await _snapshots(database),
        await _indexes(database),
        await _rows(database, settings["autovacuum"] == "on"),
    ]


def _version(major: int) -> Finding:
    if major >= SERVER_VERSION_MIN:
        return Finding("server", Health.FINE, f"PostgreSQL {major}")
    return Finding("server", Health.FAULT, f"PostgreSQL {major}", f"upgrade to {SERVER_VERSION_MIN} or newer")


def _durability(settings: dict[str, str]) -> Finding:
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if settings[name] == "off"]
    if not off:
        return Finding("durability", Health.FINE, "commits are on disk before they are answered")
    advice = f"set {', '.join(f'{name} = on' for name in off)}: a crash of the machine may lose accepted messages"
    return Finding("durability", Health.FAULT, f"{', '.join(off)} off", advice)


def _connections(allowed: int, pool_size: int) -> Finding:
    found = f"DB_POOL_SIZE {pool_size} a process, max_connections {allowed}"
    if 2 * pool_size <= allowed:
        return Finding("connections", Health.FINE, found)
    return Finding(
        "connections", Health.WARNING, found, "lower DB_POOL_SIZE, or raise max_connections, or use a pooler"
    )


async def _clock(database: Database) -> Finding:
    before = datetime.now(UTC)
    ((there,),) = await database.read("examine_clock")
    half_way = before + (datetime.now(UTC) - before) / 2
    skew_s = (there - half_way).total_seconds()
    found = f"the database's time is {skew_s:+.3f} s off this machine's"
    if abs(skew_s) <= CLOCK_SKEW_S_MAX:
        return Finding("clock", Health.FINE, found)
    advice = "run a time service on both: leases go by the database's time, and people compare it with their own"
    return Finding("clock", Health.WARNING, found, advice)


async def _snapshots(database: Database) -> Finding:
    for pid, name, age_s in await database.read("examine_snapshots"):
        if age_s > SNAPSHOT_S_MAX:
            found = f"process {pid} ({name or 'no name'}) has had a transaction open for {age_s:.0f} s"
            advice = (
                f"end it, or SELECT pg_terminate_backend({pid}): no dead row is removed before, and queues slow down"
            )
            return Finding("transactions", Health.WARNING, found, advice)
    return Finding("transactions", Health.FINE, "none is old")


async def _indexes(database: Database) -> Finding:
    rows = await database.read("examine_indexes")
    missing = set(HOT_INDEXES) - {name for name, *_ in rows}
    if missing:
        advice = "create them anew as the migrations do"
        return Finding("indexes", Health.FAULT, f"missing: {', '.join(sorted(missing))}", advice)
    broken = [name for name, valid, *_ in rows if not valid]
    bloated = [
        name for name, _, size, live in rows if size > INDEX_BYTES_MIN and size > INDEX_BYTES_PER_ROW_MAX * max(live, 1)
    ]
    for what, names in (("not valid", broken), ("mostly empty pages", bloated)):
        if names:
            advice = "; ".join(f"REINDEX INDEX CONCURRENTLY sqslite.{name}" for name in names)
            return Finding("indexes", Health.WARNING, f"{what}: {', '.join(names)}", advice)
    return Finding("indexes", Health.FINE, f"{len(rows)}, {sum(size for *_, size, _ in rows) // 1024} KiB")


async def _rows(database: Database, autovacuum: bool) -> Finding:
    if not autovacuum:
        return Finding("vacuum", Health.FAULT, "autovacuum is off", "set autovacuum = on")
    for name, live, dead, last in await database.read("examine_tables"):
        if dead > DEAD_ROWS_MIN and dead > DEAD_SHARE_MAX * (live + dead):
            found = f"{name} has {dead} dead rows beside {live} live ones; last autovacuum {last or 'never'}"
            return Finding("vacuum", Health.WARNING, found, f"look for old transactions, then VACUUM sqslite.{name}")
    return Finding("vacuum", Health.FINE, "dead rows are removed in time")
