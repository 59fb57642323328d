"""Signatures as botocore makes them are verified; any change to what was signed is noticed."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sqslite.entrypoints.sqs import signature
from sqslite.entrypoints.sqs.access_keys import AccessKeys
from sqslite.entrypoints.sqs.signature import SignatureFault, SignatureRefused, SignedRequest, verify

KEYS = AccessKeys.parse("AKIDORDERS:wJalr/XUtn+FEMI:orders-*,bill?ng AKIDALL:another/secret")
URL = "http://localhost:8080/000000000000/orders-eu"
BODY = b'{"QueueUrl": "http://localhost:8080/000000000000/orders-eu", "MessageBody": "hello"}'


def signed(
    method: str = "POST",
    url: str = URL,
    body: bytes = BODY,
    key: str = "AKIDORDERS",
    secret: str | None = None,
    expires: int | None = None,
    service: str = "sqs",
    region: str = "eu-west-1",
) -> SignedRequest:
    """The request as botocore signs it: in a header, or in the query where it says when it expires."""
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
    request = AWSRequest(method, url, headers=headers if expires is None else {}, data=body)
    credentials = Credentials(key, secret or KEYS.by_id["AKIDORDERS" if key not in KEYS.by_id else key].secret)
    if expires is None:
        SigV4Auth(credentials, service, region).add_auth(request)
    else:
        SigV4QueryAuth(credentials, service, region, expires=expires).add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    heads = [(name.lower(), _text(value)) for name, value in prepared.headers.items()]
    if "host" not in dict(heads):
        heads.append(("host", parts.netloc))
    # A presigned request has moved what was in its body into the query.
    sent = body if expires is None else prepared.body or b""
    return SignedRequest(method, parts.path or "/", parts.query, heads, sent)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def now() -> datetime:
    return datetime.now(UTC)


def fault(request: SignedRequest, at: datetime | None = None) -> tuple[SignatureFault, str]:
    with pytest.raises(SignatureRefused) as refused:
        verify(request, KEYS, at or now())
    return refused.value.fault, str(refused.value)


def with_header(request: SignedRequest, name: str, value: str | None) -> SignedRequest:
    others = [(n, v) for n, v in request.headers if n != name]
    return replace(request, headers=others if value is None else [*others, (name, value)])


@pytest.mark.parametrize("expires", [None, 60])
@pytest.mark.parametrize(
    "url",
    [
        URL,
        "http://localhost:8080",
        "http://localhost:8080/?Action=SendMessage&MessageBody=a%20b%2Bc%3D%26&QueueName=b&A.1=x&A.1.y=",
        "http://localhost:8080/000000000000/with%20space/~tilde",
        "http://localhost:9324/q?Text=%C3%A9%E2%82%AC%2F*",
    ],
)
def test_what_botocore_signs_is_verified(url: str, expires: int | None) -> None:
    assert verify(signed(url=url, expires=expires), KEYS, now()).id == "AKIDORDERS"


@given(body=st.binary(max_size=200), text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_body_and_any_parameter_is_verified(body: bytes, text: str) -> None:
    url = AWSRequest("GET", URL, params={"MessageBody": text}).prepare().url
    assert verify(signed(url=url, body=body), KEYS, now()).id == "AKIDORDERS"


@pytest.mark.parametrize("expires", [None, 60])
@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"path": "/000000000000/orders-us"},
        {"body": BODY.replace(b"hello", b"Hello")},
        {"body": b"{}"},
    ],
)
def test_whatever_was_signed_must_not_be_changed(change: dict[str, object], expires: int | None) -> None:
    code, sentence = fault(replace(signed(expires=expires), **change))

    assert code is SignatureFault.MISMATCH
    assert sentence.startswith("The request signature we calculated does not match the signature you provided.")


def test_a_parameter_must_not_be_added() -> None:
    request = signed(expires=60)

    assert fault(replace(request, query=request.query + "&Action=DeleteQueue"))[0] is SignatureFault.MISMATCH


@pytest.mark.parametrize("name", ["host", "x-amz-target", "x-amz-date", "content-type"])
def test_a_signed_header_must_not_be_changed(name: str) -> None:
    changed = {"x-amz-date": (now() - timedelta(seconds=1)).strftime("%Y%m%dT%H%M%SZ")}.get(name, "other")

    assert fault(with_header(signed(), name, changed))[0] is SignatureFault.MISMATCH


def test_a_header_that_steers_must_be_signed() -> None:
    code, sentence = fault(with_header(signed(expires=60), "x-amz-target", "AmazonSQS.DeleteQueue"))

    assert code is SignatureFault.MISMATCH
    assert sentence == "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."


def test_the_body_is_hashed_whatever_its_header_says() -> None:
    replayed = replace(with_header(signed(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), body=b"{}")

    assert fault(replayed)[0] is SignatureFault.MISMATCH


def test_a_wrong_secret_is_a_mismatch_and_an_unknown_key_has_its_own_error() -> None:
    assert fault(signed(secret="wrong"))[0] is SignatureFault.MISMATCH
    assert fault(signed(key="AKIDNOBODY")) == (
        SignatureFault.UNKNOWN_KEY,
        "The security token included in the request is invalid.",
    )


@pytest.mark.parametrize("minutes", [-14, 14])
def test_clocks_may_differ_by_fifteen_minutes(minutes: int) -> None:
    verify(signed(), KEYS, now() + timedelta(minutes=minutes))


def test_an_old_signature_is_refused_with_the_instants() -> None:
    code, sentence = fault(signed(), now() + timedelta(minutes=16))

    assert code is SignatureFault.MISMATCH
    assert sentence.startswith("Signature expired: ")
    assert sentence.endswith(" - 15 min.)")


def test_a_signature_of_the_future_is_refused() -> None:
    assert fault(signed(), now() - timedelta(minutes=16))[1].startswith("Signature not yet current: ")


def test_a_presigned_request_is_good_for_as_long_as_it_says() -> None:
    request = signed(expires=3600)

    verify(request, KEYS, now() + timedelta(minutes=59))
    assert fault(request, now() + timedelta(minutes=61)) == (SignatureFault.EXPIRED, "Request has expired.")


@pytest.mark.parametrize("expires", ["604801", "-1", "x", "", "99999999999", "٣"])
def test_a_presigned_request_says_for_how_long_within_limits(expires: str) -> None:
    request = signed(expires=60)

    changed = replace(request, query=request.query.replace("X-Amz-Expires=60", f"X-Amz-Expires={expires}"))
    assert fault(changed)[0] is SignatureFault.INCOMPLETE


def test_a_signature_for_another_service_is_refused() -> None:
    assert fault(signed(service="s3"))[1] == "Credential should be scoped to correct service: 'sqs'."


def test_the_scope_has_the_day_of_the_date() -> None:
    request = signed()
    day = now().strftime("%Y%m%d")
    other = dict(request.headers)["authorization"].replace(f"/{day}/", "/20200101/")

    assert "does not match YYYYMMDD" in fault(with_header(request, "authorization", other))[1]


@pytest.mark.parametrize(
    ("authorization", "expected", "named"),
    [
        (None, SignatureFault.MISSING, "Authentication Token"),
        ("Basic abc", SignatureFault.INCOMPLETE, "Basic"),
        ("AWS4-HMAC-SHA256", SignatureFault.INCOMPLETE, "'Credential'"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", SignatureFault.INCOMPLETE, "'Signature'"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=00",
            SignatureFault.INCOMPLETE,
            "'SignedHeaders'",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=00",
            SignatureFault.INCOMPLETE,
            "exactly 5 slash-delimited",
        ),
    ],
)
def test_half_a_signature_says_what_is_missing(authorization: str | None, expected: SignatureFault, named: str) -> None:
    code, sentence = fault(with_header(signed(), "authorization", authorization))

    assert code is expected
    assert named in sentence


@pytest.mark.parametrize("date", [None, "", "yesterday", "20261399T000000Z"])
def test_a_date_that_is_none_is_said(date: str | None) -> None:
    assert fault(with_header(signed(), "x-amz-date", date))[0] is SignatureFault.INCOMPLETE


@given(
    st.text(max_size=60),
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.text(st.characters(max_codepoint=255), max_size=60),
)
def test_nonsense_is_refused_and_breaks_nothing(authorization: str, path: str, query: str) -> None:
    for header in (authorization, f"{signature.ALGORITHM} {authorization}"):
        headers = [("authorization", header), ("x-amz-date", "20260101T000000Z")]
        with pytest.raises(SignatureRefused):
            verify(SignedRequest("POST", path, query, headers, b""), KEYS, now())


def test_a_key_has_rights_on_the_queues_of_its_patterns() -> None:
    key = KEYS.by_id["AKIDORDERS"]

    assert [key.may_use(name) for name in ("orders-eu", "billing", "orders", "ORDERS-eu")] == [True, True, False, False]
    assert KEYS.by_id["AKIDALL"].may_use("anything.fifo")


@pytest.mark.parametrize("text", ["id", "id:", ":secret", "id:s:bad pattern/", "id:s:a,,b", "a:1 a:2", "né:s"])
def test_keys_that_are_none_are_refused_without_repeating_a_secret(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(a key is not as it must be|two keys have the same id)$"):
        AccessKeys.parse(text)


def test_the_text_of_keys_shows_no_secret() -> None:
    for text in (str(KEYS), repr(KEYS), repr(list(KEYS.by_id.values()))):
        assert "secret" not in text
        assert "wJalr" not in text
    assert not AccessKeys.parse("  ")
