"""What the domain needs from the world. Adapters implement these; nothing here does I/O.

Conventions of every store port: calls take and return batches and report what they changed; results
come in the order of what was asked; every write is guarded, so repeating it or racing it is harmless;
a call that returns has been committed. Besides what a method names, any of them raises
StoreUnavailable (nothing was done), Overloaded (nothing was done) or OutcomeUnknown (a write may have
happened).
"""

from sqslite.domain.ports.storage import (
    Blocker,
    Change,
    Claim,
    Delete,
    Depth,
    Expired,
    Extension,
    Held,
    Move,
    MoveToDlq,
    NextDue,
    PartitionDropped,
    Position,
    QueueCatalog,
    QueueStats,
    Redrives,
    RequeueAt,
    Settlement,
    Sighting,
    Store,
    Totals,
)
from sqslite.domain.ports.surroundings import Clock, Entropy, Observer, Wakeups, Watch

__all__ = [
    "Blocker",
    "Change",
    "Claim",
    "Clock",
    "Delete",
    "Depth",
    "Entropy",
    "Expired",
    "Extension",
    "Held",
    "Move",
    "MoveToDlq",
    "NextDue",
    "Observer",
    "PartitionDropped",
    "Position",
    "QueueCatalog",
    "QueueStats",
    "Redrives",
    "RequeueAt",
    "Settlement",
    "Sighting",
    "Store",
    "Totals",
    "Wakeups",
    "Watch",
]
