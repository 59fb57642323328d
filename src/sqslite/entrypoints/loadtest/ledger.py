"""What was answered about each message, and what that proves: losses, doubles, broken order."""

import enum
from array import array
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from sqslite.domain.limits import ms
from sqslite.domain.messages import Received

# A settlement and the claim after it take their time at the beginning of their transactions, which may overlap.
EARLY_MS_TOLERATED = 20
EXAMPLES_MAX = 10
# More deliveries of one message are not told apart.
FENCE_MAX = 2**16 - 1


class Fact(enum.IntFlag):
    """What is known of one message."""

    ACCEPTED = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()
    """Whether it was accepted."""
    DELIVERED = enum.auto()
    ACKED = enum.auto()
    ACK_UNKNOWN = enum.auto()


NOTHING = Fact(0)


class Check(Struct, frozen=True, kw_only=True):
    """The ledger's verdict.

    `missing`: accepted and not acked. `left`: so many of these were still in the queue when the time was up, None:
    nobody could tell. `lost`: missing and not in the queue. `doubled`: deliveries of a message that was acked, or that
    somebody held. `disordered`: first deliveries before an earlier message of their group. `altered`: deliveries with
    other bytes than were sent. `refused_delivered`: messages that came though their enqueue had been refused.
    `examples` are sentences about the first of these.
    """

    missing: int
    left: int | None
    lost: int
    doubled: int
    disordered: int
    altered: int
    refused_delivered: int
    examples: list[str]

    @property
    def broken(self) -> bool:
        """Whether a promise was broken for sure."""
        return any((self.lost, self.doubled, self.disordered, self.altered, self.refused_delivered))

    @property
    def complete(self) -> bool:
        """Whether everything accepted is accounted for, one way or the other."""
        return self.missing == self.lost and self.left is not None


class Ledger:
    """Knows each message by its number, in 11 bytes, and every lease that was not ended by an ack."""

    def __init__(self, intact: Callable[[int, bytes], bool]) -> None:
        self._intact = intact
        self._facts = bytearray()
        self._sent_at_s = array("d")
        self._fences = array("H")
        self._leases: dict[int, datetime] = {}
        self._dropped: set[int] = set()
        self._last_of_group: dict[str, int] = {}
        self._faults: Counter[str] = Counter()
        self._examples: list[str] = []
        self.accepted_count = 0
        self.acked_count = 0
        self.unsettled = 0
        """Messages accepted for which no ack has been answered with success."""
        self.deliveries = 0
        self.crashes = 0
        self.redelivered_after_crash = 0
        self.redelivered_after_lease = 0

    @property
    def sent(self) -> int:
        """Messages that were sent, whatever was answered."""
        return len(self._facts)

    def send(self, at_s: float) -> int:
        """The number of a new message, sent at that second."""
        self._facts.append(0)
        self._sent_at_s.append(at_s)
        self._fences.append(0)
        return len(self._facts) - 1

    def accepted(self, number: int) -> None:
        """Its enqueue was answered with success."""
        self._facts[number] |= Fact.ACCEPTED
        self.accepted_count += 1
        # It may have been received before its sender was answered.
        if not self._facts[number] & Fact.ACKED:
            self.unsettled += 1

    def refused(self, number: int) -> None:
        """Its enqueue was answered with a refusal: it is not in the queue."""
        self._facts[number] |= Fact.REFUSED

    def unknown(self, number: int) -> None:
        """Nobody knows whether it is in the queue."""
        self._facts[number] |= Fact.UNKNOWN

    def delivered(self, number: int, delivery: Received, visibility_ms: int) -> float | None:
        """It was delivered; when it had been sent, None where it had been delivered before."""
        self.deliveries += 1
        facts = self._facts[number]
        if not self._intact(number, delivery.message.body):
            self._fault("altered", number, delivery, "came with other bytes than were sent")
        fence = min(delivery.message.fence, FENCE_MAX)
        # An answer that took longer than its lease may come after that of a later delivery.
        if fence >= self._fences[number]:
            self._check_double(number, delivery, visibility_ms)
            self._fences[number] = fence
            if delivery.message.lease_until is not None:
                self._leases[number] = delivery.message.lease_until
        self._facts[number] |= Fact.DELIVERED
        if facts & Fact.DELIVERED:
            return None
        self._check_order(number, delivery)
        return self._sent_at_s[number]

    def dropped(self, number: int) -> None:
        """Its receiver has crashed, as far as the server can see."""
        self.crashes += 1
        self._dropped.add(number)

    def acked(self, number: int) -> None:
        """Its ack was answered with success."""
        if not self._facts[number] & Fact.ACKED:
            self.acked_count += 1
            self.unsettled -= bool(self._facts[number] & Fact.ACCEPTED)
        self._facts[number] |= Fact.ACKED
        self._leases.pop(number, None)
        self._dropped.discard(number)

    def ack_unknown(self, number: int) -> None:
        """Nobody knows whether it was acked; where it was not, it comes again."""
        self._facts[number] |= Fact.ACK_UNKNOWN

    def count(self, all_of: Fact, none_of: Fact = NOTHING) -> int:
        """Messages of which all these facts are known, and none of those."""
        return sum(
            count
            for facts, count in Counter(self._facts).items()
            if facts & all_of == all_of and not facts & none_of
        )  # fmt: skip

    def check(self, in_queue: int | None) -> Check:
        """The verdict, where so many messages are still in the queue; None: nobody can tell."""
        missing = self.count(Fact.ACCEPTED, Fact.ACKED | Fact.ACK_UNKNOWN)
        left = None if in_queue is None else min(missing, in_queue)
        lost = 0 if left is None else missing - left
        if lost and not left:
            self._examples += self._lost_ones()
        return Check(
            missing=missing,
            left=left,
            lost=lost,
            doubled=self._faults["doubled"],
            disordered=self._faults["disordered"],
            altered=self._faults["altered"],
            refused_delivered=self.count(Fact.REFUSED | Fact.DELIVERED),
            examples=self._examples[:EXAMPLES_MAX],
        )

    def _check_double(self, number: int, delivery: Received, visibility_ms: int) -> None:
        """A message may come again when its lease is over, and for no other reason."""
        facts = self._facts[number]
        if facts & Fact.ACKED:
            self._fault("doubled", number, delivery, "was delivered again after its ack")
            return
        until = self._leases.get(number)
        if until is None or delivery.message.lease_until is None:
            return
        # Both of these instants are the server's, so its clock and the way to it do not matter.
        claimed_at = delivery.message.lease_until - ms(visibility_ms)
        early = until - claimed_at
        if delivery.message.fence == self._fences[number]:
            self._fault("doubled", number, delivery, "was handed out twice as one delivery")
        elif early > ms(EARLY_MS_TOLERATED):
            early_ms = early / ms(1)
            self._fault(
                "doubled", number, delivery, f"was delivered again {early_ms:,.0f} ms before its lease was over"
            )
        elif number in self._dropped:
            self._dropped.discard(number)
            self.redelivered_after_crash += 1
        else:
            self.redelivered_after_lease += 1

    def _check_order(self, number: int, delivery: Received) -> None:
        group = delivery.message.group_id
        if group is None or self._facts[number] & Fact.UNKNOWN:
            # Sent before others of its group, it may have arrived after them.
            return
        last = self._last_of_group.get(group, -1)
        if number < last:
            self._fault("disordered", number, delivery, f"of group {group} came after the later message {last}")
        self._last_of_group[group] = max(number, last)

    def _fault(self, kind: str, number: int, delivery: Received, what: str) -> None:
        self._faults[kind] += 1
        if len(self._examples) < EXAMPLES_MAX:
            self._examples.append(f"message {number} (id {delivery.message.id}) {what}")

    def _lost_ones(self) -> list[str]:
        found = []
        for number, facts in enumerate(self._facts):
            if facts & Fact.ACCEPTED and not facts & (Fact.ACKED | Fact.ACK_UNKNOWN):
                how = "was delivered, not acked, and never came back" if facts & Fact.DELIVERED else "never came"
                found.append(f"message {number} was accepted, and {how}")
                if len(found) == EXAMPLES_MAX:
                    break
        return found
