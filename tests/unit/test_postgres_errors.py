"""What the driver raises, in the domain's words; and what is tried again before anything is raised."""

import psycopg
import pytest
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from sqslite.adapters.stores.postgres import errors
from sqslite.adapters.stores.postgres.connections import ATTEMPTS_MAX, _insisted
from sqslite.adapters.stores.postgres.database import SERVER_TIME, with_time
from sqslite.domain.errors import OutcomeUnknown, Overloaded, StoreUnavailable


def _error(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)("what the server said")


ROLLED_BACK = [
    "53100",
    "53200",
    "53300",
    "57014",
    "57P01",
    "57P03",
    "58030",
    "55P03",
    "40001",
    "40P01",
    "25006",
    "XX000",
]


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("sqlstate", [*ROLLED_BACK, errors.UNDEFINED_TABLE, errors.INVALID_SCHEMA])
def test_a_statement_that_the_server_gave_up_has_done_nothing(sqlstate: str, writing: bool):
    assert isinstance(errors.translated(_error(sqlstate), writing=writing), StoreUnavailable)


@pytest.mark.parametrize("error", [psycopg.OperationalError("closed"), psycopg.InterfaceError("x"), _error("08006")])
def test_a_connection_lost_on_the_way_leaves_a_write_unknown_and_a_read_undone(error: psycopg.Error):
    assert isinstance(errors.translated(error, writing=True), OutcomeUnknown)
    assert isinstance(errors.translated(error, writing=False), StoreUnavailable)


@pytest.mark.parametrize(
    "error", [_error("42601"), _error("22003"), psycopg.DataError("x"), psycopg.ProgrammingError()]
)
def test_a_defect_is_not_dressed_up_as_an_outage(error: psycopg.Error):
    assert errors.translated(error, writing=True) is None


def test_a_missing_schema_says_what_to_do():
    assert "sqslite migrate" in str(errors.translated(_error(errors.UNDEFINED_TABLE), writing=False))


@pytest.mark.parametrize("error", [PoolTimeout(), TooManyRequests()])
def test_no_free_connection_is_overload_only_where_the_server_can_be_reached(error: PoolTimeout | TooManyRequests):
    assert isinstance(errors.no_connection(error, reachable=True), Overloaded)
    assert isinstance(errors.no_connection(error, reachable=False), StoreUnavailable)


def test_a_closed_store_is_unavailable():
    assert isinstance(errors.no_connection(PoolClosed(), reachable=True), StoreUnavailable)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_what_was_rolled_back_for_anothers_sake_is_tried_again_a_bounded_number_of_times(sqlstate: str):
    calls = 0

    async def work(_session: object) -> str:
        nonlocal calls
        calls += 1
        if calls < ATTEMPTS_MAX:
            raise _error(sqlstate)
        return "done"

    assert await _insisted(None, work) == "done"
    assert calls == ATTEMPTS_MAX

    async def hopeless(_session: object) -> None:
        nonlocal calls
        calls += 1
        raise _error(sqlstate)

    calls = 0
    with pytest.raises(psycopg.Error):
        await _insisted(None, hopeless)
    assert calls == ATTEMPTS_MAX


def test_time_is_the_servers_or_the_parameter_past_the_last():
    text = "SELECT {now} + $2::interval, $10, {now}"
    assert with_time(text, injected=False) == f"SELECT {SERVER_TIME} + $2::interval, $10, {SERVER_TIME}"
    assert with_time(text, injected=True) == "SELECT $11::timestamptz + $2::interval, $10, $11::timestamptz"
    assert with_time("SELECT {now}", injected=True) == "SELECT $1::timestamptz"
