"""Whose calls the SQS API takes: verified ones where there are keys, else anybody's, but not from everywhere."""

from sqslite.domain.ports import Clock
from sqslite.entrypoints.settings import Settings
from sqslite.entrypoints.sqs.access_keys import AccessKey
from sqslite.entrypoints.sqs.app import Authorize, anybody
from sqslite.entrypoints.sqs.signature import SignatureFault, SignatureRefused, SignedRequest, verify

UNVERIFIED = "signatures of the SQS API are not verified, because SQS_ACCESS_KEYS names no key"
REFUSING = (
    "the SQS API refuses all calls: the server listens on an address that others reach, and SQS_ACCESS_KEYS names no "
    "key; set it, or SQS_ANONYMOUS=on"
)


def takes_anybody(settings: Settings) -> bool:
    """Whether calls are taken without a look at their signatures."""
    return not settings.sqs_access_keys and (settings.on_loopback or settings.sqs_anonymous)


def authorizing(settings: Settings, clock: Clock) -> Authorize:
    """What says who calls, or raises SignatureRefused, by these settings."""
    if takes_anybody(settings):
        return anybody
    return (
        _nobody
        if not settings.sqs_access_keys
        else lambda request: verify(request, settings.sqs_access_keys, clock.now())
    )


def _nobody(_request: SignedRequest) -> AccessKey | None:
    raise SignatureRefused(SignatureFault.ACCESS_DENIED, f"Access is denied: {REFUSING}.")
