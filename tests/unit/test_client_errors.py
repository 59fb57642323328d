"""Refusals over the wire are the domain's exceptions again."""

import msgspec
import pytest

from sqslite.adapters.client.errors import CLASSES, rebuilt, refusal
from sqslite.adapters.client.requests import Reply
from sqslite.domain import errors
from sqslite.domain.errors import ErrorCode, InvalidValue, OutcomeUnknown, Overloaded, SqsliteError
from sqslite.wire.codes import RequestErrorCode
from sqslite.wire.shapes import ErrorOut


def refused(status: int, code: str, text: str = "no") -> SqsliteError:
    error = refusal(Reply(status, msgspec.json.encode(ErrorOut(error=text, code=code))))
    assert error is not None
    return error


def test_every_code_has_its_class():
    assert set(CLASSES) == {*ErrorCode, *RequestErrorCode}


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_of_the_domain_comes_back_as_it_was(code: ErrorCode):
    error = refused(400, code, "what the server said")
    assert (error.code, str(error)) == (code, "what the server said")
    # By the names that programs catch, not by whatever the table says.
    (named,) = (kind for kind in vars(errors).values() if isinstance(kind, type) and getattr(kind, "code", "") == code)
    assert type(error) is named


@pytest.mark.parametrize("code", list(RequestErrorCode))
def test_an_error_of_the_transport_is_one_of_the_domain_too(code: RequestErrorCode):
    assert isinstance(refused(400, code), SqsliteError)


def test_a_bad_value_names_its_field():
    error = rebuilt("invalid_value", str(InvalidValue("backoff.factor", 0.5, "1 to 1000")))
    assert isinstance(error, InvalidValue)
    assert error.field == "backoff.factor"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidValue), (404, InvalidValue), (302, InvalidValue), (429, Overloaded)]
)
def test_what_others_answer_goes_by_its_status(status: int, kind: type[SqsliteError]):
    assert type(refusal(Reply(status, b"<html>"))) is kind
    assert type(refused(status, "a_code_that_came_later")) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_of_what_a_proxy_refuses_nobody_knows_what_it_did(status: int):
    error = refusal(Reply(status, b"<html>Bad gateway</html>" * 1_000))
    assert type(error) is OutcomeUnknown
    assert str(error).startswith(f"the server answered {status}: <html>Bad gateway")
    assert len(str(error)) < 300
