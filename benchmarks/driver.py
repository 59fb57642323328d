"""The driver: processes of their own that keep up closed loops, and their own CPU time told apart from the servers'."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace

import uvloop

from benchmarks import flows, sql_loops, sqs_flows
from benchmarks.exchange import Exchange, Parser, beanstalk_answer, http_answer
from benchmarks.flows import Cycle, rounds
from benchmarks.load import MISSING_AFTER_S, Load, Tally

ANSWER_S_MAX = 15.0

FLOWS: dict[str, tuple[Cycle, Cycle, Parser]] = {
    "rest": (flows.rest, flows.rest_batch, http_answer),
    "rest-enqueue": (flows.rest_enqueue, flows.rest_enqueue, http_answer),
    "nothing": (flows.nothing, flows.nothing, http_answer),
    "sqs": (sqs_flows.sqs_json, sqs_flows.sqs_json, http_answer),
    "sqs-send": (sqs_flows.send_json, sqs_flows.send_json, http_answer),
    "sqs-query": (sqs_flows.sqs_query, sqs_flows.sqs_query, http_answer),
    "sqs-query-send": (sqs_flows.send_query, sqs_flows.send_query, http_answer),
    "beanstalk": (flows.beanstalk, flows.beanstalk, beanstalk_answer),
}
"""Each flow's cycle of one message, that of a batch, and how its answers are read."""


class Driver:
    """A number of processes that share the connections of a load."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
        # Started now: neither starting nor importing is to fall into what is measured.
        for ready in [self._pool.submit(time.sleep, 0.1) for _ in range(processes)]:
            ready.result()

    def start(self, load: Load) -> "Running":
        """Set the load going; it keeps to its times by itself."""
        shares = [
            load.connections // self._processes + (place < load.connections % self._processes)
            for place in range(self._processes)
        ]
        return Running([self._pool.submit(drive, replace(load, connections=share)) for share in shares if share])

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


class Running:
    """A load under way."""

    def __init__(self, tallies: Sequence[Future[Tally]]) -> None:
        self._tallies = tallies

    def tally(self) -> Tally:
        """Wait for its end. Raises what any process met."""
        first, *others = [future.result() for future in self._tallies]
        for other in others:
            first.add(other)
        return first


@contextlib.contextmanager
def driver(processes: int) -> Iterator[Driver]:
    """Driver processes for the time of the block."""
    opened = Driver(processes)
    try:
        yield opened
    finally:
        opened.close()


def drive(load: Load) -> Tally:
    """One process's share of the load."""
    return uvloop.run(_drive(load))


async def _drive(load: Load) -> Tally:
    tally = Tally(load.starts_at, load.ends_at)
    cpu = asyncio.create_task(_cpu_s(load))
    ends_in_s = load.ends_at - time.monotonic() + MISSING_AFTER_S + ANSWER_S_MAX
    try:
        async with asyncio.timeout(ends_in_s):
            if load.flow in FLOWS:
                await _exchange(load, tally)
            else:
                await sql_loops.run(load, tally)
    except TimeoutError:
        raise TimeoutError(f"no answer {ends_in_s:.0f} s after the start") from None
    tally.cpu_s = await cpu
    return tally


async def _exchange(load: Load, tally: Tally) -> None:
    single, batch, parse = FLOWS[load.flow]
    cycle = single if load.batch == 1 else batch
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def connect(exchange: Exchange) -> None:
        try:
            await loop.create_connection(lambda: exchange, "127.0.0.1", int(load.address))
        except OSError as failed:
            exchange.done.set_exception(failed)

    def reconnect(exchange: Exchange) -> None:
        task = loop.create_task(connect(exchange))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    exchanges = [Exchange(rounds(cycle, load, tally), parse, reconnect) for _ in range(load.connections)]
    await asyncio.gather(*[connect(exchange) for exchange in exchanges])
    await asyncio.gather(*[exchange.done for exchange in exchanges])


async def _cpu_s(load: Load) -> float:
    """This process's CPU time between start and end."""
    await asyncio.sleep(max(0.0, load.starts_at - time.monotonic()))
    before_s = time.process_time()
    await asyncio.sleep(max(0.0, load.ends_at - time.monotonic()))
    return time.process_time() - before_s
