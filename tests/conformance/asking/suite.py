"""The conformance suite of the driving ports: what sqslite does for whoever asks, in this process or over a network.

A test class that inherits AskedConformance provides one fixture, `asked`.
"""

from tests.conformance.asking.looking_after import AskedAdministration, AskedInspection, AskedRedriveTasks
from tests.conformance.asking.messaging import AskedMessaging


class AskedConformance(AskedMessaging, AskedAdministration, AskedInspection, AskedRedriveTasks):
    """All of it."""
