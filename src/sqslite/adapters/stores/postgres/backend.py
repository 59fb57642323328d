"""The PostgreSQL backend: the store ports on one pool of connections."""

from sqslite.adapters.examination import Finding, schema_finding
from sqslite.adapters.migrations import load_migrations, pending
from sqslite.adapters.stores.postgres.catalog import PostgresQueueCatalog
from sqslite.adapters.stores.postgres.claim_cursor import ClaimCursor, Cursor
from sqslite.adapters.stores.postgres.connections import Connections, Session
from sqslite.adapters.stores.postgres.database import Database
from sqslite.adapters.stores.postgres.examining import examined
from sqslite.adapters.stores.postgres.redrives import PostgresRedrives
from sqslite.adapters.stores.postgres.stats import PostgresQueueStats
from sqslite.adapters.stores.postgres.store import PostgresStore
from sqslite.domain.errors import StoreUnavailable
from sqslite.domain.ports import Clock

POOL_SIZE = 10
CONNECTION_TIMEOUT_S = 5
WAITERS_MAX = 1_000
MIGRATION_S_MAX = 600
EXAMINATION_S_MAX = 30
# Any number will do that no other user of the database takes: it makes migrating nodes wait for one another.
MIGRATION_LOCK = 0x5153_4C49_5445


class PostgresBackend:
    """Store, catalog, statistics and redrives in the schema `sqslite` of one database.

    `clock` None: time is the database's, whatever the nodes' clocks say. `pool_size` bounds the connections,
    `connection_timeout_s` the seconds that a call waits for one, `waiters_max` the calls that wait at once.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        cursor: Cursor | None = None,
        pool_size: int = POOL_SIZE,
        connection_timeout_s: float = CONNECTION_TIMEOUT_S,
        waiters_max: int = WAITERS_MAX,
    ) -> None:
        self._pool_size = pool_size
        self._connections = Connections(
            url, pool_size=pool_size, connection_timeout_s=connection_timeout_s, waiters_max=waiters_max
        )
        self._database = Database(self._connections, clock)
        self._store = PostgresStore(self._database, cursor or ClaimCursor())
        self._catalog = PostgresQueueCatalog(self._database)
        self._stats = PostgresQueueStats(self._database)
        self._redrives = PostgresRedrives(self._database)

    @property
    def store(self) -> PostgresStore:
        """Messages and leases."""
        return self._store

    @property
    def catalog(self) -> PostgresQueueCatalog:
        """Queues."""
        return self._catalog

    @property
    def stats(self) -> PostgresQueueStats:
        """Counts and peeks."""
        return self._stats

    @property
    def redrives(self) -> PostgresRedrives:
        """Tasks that move dead letters on."""
        return self._redrives

    async def open(self) -> None:
        """Start connecting; a server that is not there yet is waited for by the calls that need it."""
        await self._connections.open()

    async def migrate(self) -> list[str]:
        """Apply what is missing, in one transaction that other migrating nodes wait for."""
        return await self._database.transact_by_hand(_migrate, MIGRATION_S_MAX)

    async def ping(self) -> None:
        """Ask the server for an answer."""
        await self._database.read("ping")

    async def examine(self) -> list[Finding]:
        """See Backend."""
        if refusal := await self._connections.refusal():
            raise StoreUnavailable(f"the database cannot be reached: {refusal}")
        return await self._database.transact_by_hand(_schema_findings, EXAMINATION_S_MAX) + await examined(
            self._database, self._pool_size
        )

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()


async def _migrate(session: Session) -> list[str]:
    await session.execute(f"SET LOCAL statement_timeout = '{MIGRATION_S_MAX}s'".encode())
    await session.execute(b"SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK])
    missing = pending(load_migrations("postgres"), await _applied_versions(session))
    for migration in missing:
        await session.execute(migration.sql.encode())
        await session.execute(
            b"INSERT INTO sqslite.schema_migrations (version, name) VALUES ($1, $2)",
            [migration.version, migration.name],
        )
    return [migration.name for migration in missing]


async def _schema_findings(session: Session) -> list[Finding]:
    return [schema_finding(load_migrations("postgres"), await _applied_versions(session))]


async def _applied_versions(session: Session) -> list[int]:
    found = await (await session.execute(b"SELECT to_regclass('sqslite.schema_migrations')::text")).fetchone()
    if found is None or found[0] is None:
        return []
    rows = await (await session.execute(b"SELECT version FROM sqslite.schema_migrations")).fetchall()
    return [version for (version,) in rows]
