"""Fuzzes the SQS API by atheris: `python -m tests.fuzz raw` or `calls`, with libFuzzer's options behind it.

Seeds are made from botocore's model of the service: each action with all of its members, in both protocols.
"""

import asyncio
import hashlib
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import atheris

with atheris.instrument_imports(include=["sqslite.entrypoints.sqs", "sqslite.domain"]):
    from tests.fuzz import sqs_wire

TARGETS = {"raw": sqs_wire.check_raw, "calls": sqs_wire.check_calls}
FULL = bytes([1]) * 400


def seeds() -> dict[str, list[bytes]]:
    """For each target what to begin with."""
    made: dict[str, list[bytes]] = {"raw": [], "calls": []}
    for number, action in enumerate(sqs_wire.ACTIONS_IN_ORDER):
        shape: Any = sqs_wire.MODELS["json"].operation_model(action).input_shape
        for variety in range(4):
            choices = sqs_wire.Choices(bytes([1 + variety]) * 400)
            parameters = sqs_wire.structure(choices, shape, ["garbage"])
            _, in_json = sqs_wire.written("json", action, parameters)
            _, form = sqs_wire.written("query", action, parameters)
            made["raw"] += [bytes([number, 1, 1, 0]) + in_json, bytes([number, 0, 0, 0]) + form]
            made["calls"].append(bytes([number]) + bytes([variety + 1]) * 60)
    return made


def main() -> None:
    """Fuzz until libFuzzer's options say to stop, or something does not hold."""
    name = sys.argv.pop(1)
    corpus = Path(mkdtemp(prefix=f"fuzz-{name}-"))
    for seed in seeds()[name]:
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    loop = asyncio.new_event_loop()
    atheris.Setup([*sys.argv, str(corpus)], lambda data: loop.run_until_complete(TARGETS[name](data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
