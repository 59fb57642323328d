"""The composition root: the one place that names concrete adapters. It builds objects and opens nothing."""

from dependency_injector import containers, providers

from sqslite.adapters.clock import SteppedClock, SystemClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.faults import Chances
from sqslite.adapters.metrics import Exposition, PrometheusMetrics
from sqslite.adapters.stores.coalescing import CoalescingStore
from sqslite.adapters.stores.measured import MeasuredStore
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.seeded_faults import SeededFaultyStore
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.adapters.wakeups.postgres import PostgresWakeups
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.in_flight import InFlight
from sqslite.domain.inspection import QueueInspection
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.redriving import Redriving
from sqslite.domain.service import QueueService
from sqslite.domain.sweep import Sweep
from sqslite.domain.tally import Tally
from sqslite.entrypoints.settings import Settings
from sqslite.entrypoints.testing.control import TestingControl


class Container(containers.DeclarativeContainer):
    """Everything a process of sqslite is made of, each thing once."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    clock = providers.Selector(
        settings.provided.mode, production=providers.Singleton(SystemClock), testing=providers.Singleton(SteppedClock)
    )
    entropy = providers.Singleton(SystemEntropy)
    metrics = providers.Singleton(PrometheusMetrics, clock)

    backend = providers.Selector(
        settings.provided.database_url.technology,
        memory=providers.Singleton(MemoryBackend, clock),
        sqlite=providers.Singleton(
            SqliteBackend,
            settings.provided.database_url.path,
            clock,
        ),
        postgresql=providers.Singleton(
            PostgresBackend,
            settings.provided.database_url.url,
            pool_size=settings.provided.db_pool_size,
            connection_timeout_s=settings.provided.db_connection_timeout_s,
            waiters_max=settings.provided.db_waiters_max,
        ),
    )
    sound_store = providers.Singleton(
        CoalescingStore, providers.Singleton(MeasuredStore, backend.provided.store, metrics)
    )
    local_wakeups = providers.Singleton(LocalWakeups, clock, sound_store.provided.claimable)
    wakeups = providers.Selector(
        settings.provided.database_url.technology,
        memory=local_wakeups,
        sqlite=local_wakeups,
        postgresql=providers.Singleton(
            PostgresWakeups,
            local_wakeups,
            settings.provided.database_url.url,
            clock,
            entropy,
        ),
    )
    chances = providers.Singleton(Chances)
    faulty_store = providers.Singleton(SeededFaultyStore, sound_store, clock, chances)
    store = providers.Selector(settings.provided.mode, production=sound_store, testing=faulty_store)
    directory = providers.Singleton(QueueDirectory, backend.provided.catalog, clock)
    tally = providers.Singleton(Tally, backend.provided.stats, clock)
    sweep = providers.Singleton(
        Sweep,
        sound_store,
        directory,
        clock,
        entropy,
        metrics,
        wakeups,
        tally,
        settings.provided.defaults,
        providers.Callable(lambda settings: settings.sweeper_interval_s * SECOND_MS, settings),
    )
    service = providers.Singleton(
        QueueService,
        store,
        directory,
        sweep,
        clock,
        entropy,
        metrics,
        wakeups,
        tally,
        providers.Singleton(InFlight, backend.provided.stats, clock),
        settings.provided.defaults,
    )
    administration = providers.Singleton(
        QueueAdministration, backend.provided.catalog, directory, wakeups, tally, settings.provided.defaults
    )
    inspection = providers.Singleton(
        QueueInspection, backend.provided.stats, administration, tally, settings.provided.defaults
    )
    redriving = providers.Singleton(
        Redriving,
        backend.provided.redrives,
        backend.provided.stats,
        administration,
        directory,
        clock,
        metrics,
        wakeups,
        settings.provided.defaults,
    )
    testing = providers.Singleton(TestingControl, clock, chances, sweep, administration)
    exposition = providers.Singleton(Exposition, metrics, backend.provided.catalog, backend.provided.stats, clock)
