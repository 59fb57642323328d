"""How a call is talked over with a server: what to send, when to send it again, what the answers mean. No I/O.

A talk is a generator: it yields what is to be sent or how long to pause, is told what came back, and returns the
result. Whoever drives it does the I/O, awaiting it or not, so there is one text for both.
"""

from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias, TypeVar

from msgspec import Struct

from sqslite.adapters.client.errors import refusal
from sqslite.adapters.client.requests import Effect, Outcome, Reply, Request
from sqslite.domain.errors import OutcomeUnknown, Overloaded, SqsliteError, StoreUnavailable
from sqslite.domain.limits import BATCH_MAX

PAUSE_S_FIRST = 0.1
PAUSE_S_MAX = 2.0
# A server that asks for more patience than this is not waited for.
RETRY_AFTER_S_MAX = 30
# Below what a server reads of a batch (8 MiB of acks, 16 MiB of messages); one that is larger alone goes alone.
BATCH_BYTES_MAX = 7 * 1024 * 1024
NO_CONTENT = 204

T = TypeVar("T")


class Pause(Struct, frozen=True):
    """Wait so long before going on."""

    seconds: float


class Retrying(Struct, frozen=True):
    """How often a request may be sent again; `jitter` is asked for a number in 0..1 for each pause."""

    retries: int
    jitter: Callable[[], float]

    def pause(self, tries: int, asked_s: int | None = None) -> Pause:
        """The pause after so many tries: up to twice as long each time, all of it random (full jitter).

        A server that asked for `asked_s` seconds gets them, and the random pause behind.
        """
        longest_s = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** (tries - 1))
        return Pause((asked_s or 0) + longest_s * self.jitter())


Talk: TypeAlias = Generator[Request | Pause, Outcome | None, T]


def ask(
    request: Request, retrying: Retrying, already: type[SqsliteError] | tuple[type[SqsliteError], ...] = ()
) -> Talk[Reply]:
    """The answer to the request; `already` are refusals that tell a second try that the first one was carried out."""
    unsure = False
    for tries in range(1, retrying.retries + 2):
        outcome = yield request
        error = refusal(outcome)
        if error is None:
            assert isinstance(outcome, Reply)
            return outcome
        if unsure and isinstance(error, already):
            return Reply(NO_CONTENT, b"")
        unsure = unsure or isinstance(error, OutcomeUnknown)
        if request.effect is Effect.NONE and isinstance(error, OutcomeUnknown):
            error = StoreUnavailable(str(error))
        asked_s = outcome.retry_after_s if isinstance(outcome, Reply) else None
        if tries > retrying.retries or not worth_trying(error, request.effect, asked_s):
            raise error
        yield retrying.pause(tries, asked_s)
    raise AssertionError("a talk has at least one try")


def worth_trying(error: object, effect: Effect = Effect.SAME, asked_s: int | None = None) -> bool:
    """Whether it may be sent again after this, and may go better then."""
    if (asked_s or 0) > RETRY_AFTER_S_MAX:
        return False
    return isinstance(error, Overloaded | StoreUnavailable) or (
        isinstance(error, OutcomeUnknown) and effect is not Effect.ANOTHER
    )


class Batch(Struct, frozen=True):
    """A call about many things, of which each has its own result.

    `request` makes the request of encoded entries, `results` reads the results of its answer. `settled` is asked
    about the refusal of an entry that was sent again because nobody knew what had become of it: what it comes to.
    """

    request: Callable[[Sequence[bytes]], Request]
    results: Callable[[bytes], Sequence[object]]
    settled: Callable[[SqsliteError], object] = lambda refusal: refusal


def ask_for_each(batch: Batch, entries: Sequence[bytes], retrying: Retrying) -> Talk[list[object]]:
    """A result for each entry, in order; as many requests as it takes, one after another.

    Raises where the first of them fails as a whole. Where a later one does, that is the result of its entries:
    those before have been dealt with for good.
    """
    results: list[object] = []
    for part in _parts(entries):
        try:
            results += yield from _ask_for_part(batch, part, retrying)
        except SqsliteError as error:
            if not results:
                raise
            results += [error] * len(part)
    return results


def _ask_for_part(batch: Batch, entries: Sequence[bytes], retrying: Retrying) -> Talk[list[object]]:
    results: dict[int, object] = {}
    unsure: set[int] = set()
    to_do = list(range(len(entries)))
    for tries in range(1, retrying.retries + 2):
        outcome = yield batch.request([entries[place] for place in to_do])
        error = refusal(outcome)
        asked_s = None
        if isinstance(outcome, Reply):
            asked_s = outcome.retry_after_s
            answers = batch.results(outcome.body) if error is None else [error] * len(to_do)
        else:
            answers = [error] * len(to_do)
        for place, answer in zip(to_do, answers, strict=True):
            results[place] = _settled(batch, answer) if place in unsure else answer
        if tries > retrying.retries or not (to_do := [p for p in to_do if worth_trying(results[p], asked_s=asked_s)]):
            break
        unsure.update(place for place in to_do if isinstance(results[place], OutcomeUnknown))
        yield retrying.pause(tries, asked_s)
    if error is not None and all(result is error for result in results.values()):
        raise error
    return [results[place] for place in range(len(entries))]


def _settled(batch: Batch, result: object) -> object:
    return batch.settled(result) if isinstance(result, SqsliteError) else result


def _parts(entries: Sequence[bytes]) -> list[Sequence[bytes]]:
    """The entries in as few parts as a server takes."""
    parts: list[Sequence[bytes]] = []
    start = size = 0
    for place, entry in enumerate(entries):
        if place > start and (place - start == BATCH_MAX or size + len(entry) > BATCH_BYTES_MAX):
            parts.append(entries[start:place])
            start, size = place, 0
        size += len(entry)
    return [*parts, entries[start:]] if entries else []
