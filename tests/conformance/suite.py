"""The conformance suite: what every store does, whatever it is made of.

A test class that inherits StoreConformance provides one fixture, `world`.
"""

from tests.conformance.attempts import Attempts
from tests.conformance.claiming import Claiming
from tests.conformance.deduplication import Deduplication
from tests.conformance.emptying import Emptying
from tests.conformance.grouping import Grouping
from tests.conformance.holding import Holding
from tests.conformance.looking import Looking
from tests.conformance.queues import Queues
from tests.conformance.redriven import Redriven
from tests.conformance.redriving import Redriving
from tests.conformance.retention import Retention
from tests.conformance.settling import Settling
from tests.conformance.transitions import Transitions


class StoreConformance(
    Claiming,
    Holding,
    Settling,
    Transitions,
    Queues,
    Grouping,
    Deduplication,
    Attempts,
    Redriving,
    Redriven,
    Retention,
    Looking,
    Emptying,
):
    """All of it."""
