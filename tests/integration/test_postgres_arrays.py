"""Arrays as parameters arrive as they were given."""

import pytest

from sqslite.adapters.stores.postgres.arrays import array_parameters
from sqslite.adapters.stores.postgres.backend import PostgresBackend

VALUES = {
    "bigint": [0, -(2**63), 2**63 - 1, None],
    "integer": [0, -(2**31), 2**31 - 1, None],
    "boolean": [True, False, None],
    "bytea": [b"", b"\0\xff", b"x" * 100_000, None],
    "text": ["", "NULL", '{"a", b}', "ä\N{SNOWMAN}\N{PILE OF POO}", None],
}
NULLS: dict[str, list] = {kind: [None, None] for kind in VALUES}
EMPTY: dict[str, list] = {kind: [] for kind in VALUES}


@pytest.mark.parametrize("values", [VALUES, NULLS, EMPTY])
async def test_values_of_every_type_come_back(postgres_on_its_own_time: PostgresBackend, values: dict[str, list]):
    statement = "SELECT " + ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(values, 1))
    packed = [array_parameters(statement)[place](own) for place, own in enumerate(values.values())]
    (row,) = await postgres_on_its_own_time._connections.read(statement.encode(), packed)
    assert list(row) == list(values.values())


def test_of_other_types_nothing_is_known():
    assert array_parameters("SELECT $1::bigint, $2::timestamptz[]") == {}
