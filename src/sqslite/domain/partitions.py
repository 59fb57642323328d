"""Calls about messages of several partitions: the store takes each partition by itself."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import repeat
from typing import TypeVar

from sqslite.domain.errors import SqsliteError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def per_partition(
    items: Sequence[_Item],
    partition_of: Callable[[_Item], int],
    call: Callable[[int, Sequence[_Item]], Awaitable[Sequence[_Result]]],
) -> list[_Result | SqsliteError]:
    """Call once per partition and bring the results back into the items' order.

    A call that fails is the answer to its own items only: other partitions have been changed for good.
    """
    parts: dict[int, list[_Item]] = defaultdict(list)
    for item in items:
        parts[partition_of(item)].append(item)
    results: dict[int, Iterator[_Result | SqsliteError]] = {}
    for partition_id, part in parts.items():
        try:
            results[partition_id] = iter(await call(partition_id, part))
        except SqsliteError as error:
            results[partition_id] = repeat(error)
    return [next(results[partition_of(item)]) for item in items]
