"""Whose calls are taken: by keys, by address, and by rights on queues."""

import pytest

from sqslite.adapters.clock import SystemClock
from sqslite.entrypoints.settings import VARIABLES, Settings, SettingsError
from sqslite.entrypoints.sqs.access_keys import AccessKeys
from sqslite.entrypoints.sqs.app import anybody
from sqslite.entrypoints.sqs.authorizing import authorizing, takes_anybody
from sqslite.entrypoints.sqs.signature import SignatureFault, SignatureRefused, SignedRequest

KEYS = "AKIAORDERS:secret1:orders-* AKIAADMIN:secret2"
UNSIGNED = SignedRequest("POST", "/", "", [], b"")


def settings(**environ: str) -> Settings:
    return Settings.from_environment(environ)


@pytest.mark.parametrize(
    ("environ", "taken"),
    [
        ({}, True),
        ({"SQSLITE_HOST": "::1"}, True),
        ({"SQSLITE_HOST": "0.0.0.0"}, False),
        ({"SQSLITE_HOST": "0.0.0.0", "SQS_ANONYMOUS": "on"}, True),
        ({"SQS_ACCESS_KEYS": KEYS}, False),
        ({"SQS_ACCESS_KEYS": KEYS, "SQS_ANONYMOUS": "on"}, False),
    ],
)
def test_unsigned_calls_are_taken_on_loopback_addresses_or_where_that_is_said(environ, taken):
    assert takes_anybody(settings(**environ)) is taken
    authorize = authorizing(settings(**environ), SystemClock())
    assert (authorize is anybody) is taken
    if not taken:
        with pytest.raises(SignatureRefused):
            authorize(UNSIGNED)


def test_what_is_refused_for_its_address_says_what_to_set():
    with pytest.raises(SignatureRefused, match="SQS_ACCESS_KEYS names no key; set it, or SQS_ANONYMOUS=on") as refused:
        authorizing(settings(SQSLITE_HOST="0.0.0.0"), SystemClock())(UNSIGNED)
    assert refused.value.fault is SignatureFault.ACCESS_DENIED


def test_keys_are_read_from_the_environment_and_never_shown():
    assert settings(SQS_ACCESS_KEYS=KEYS).sqs_access_keys == AccessKeys.parse(KEYS)
    assert "secret" not in str(settings(SQS_ACCESS_KEYS=KEYS).sqs_access_keys)
    (variable,) = [variable for variable in VARIABLES if variable.name == "SQS_ACCESS_KEYS"]
    with pytest.raises(SettingsError) as refused:
        variable.parse(variable.name, "AKIA:hunter2:not a pattern")
    assert "hunter2" not in str(refused.value)
