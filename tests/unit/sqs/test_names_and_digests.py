import uuid

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain.limits import MESSAGE_ID_MAX
from sqslite.entrypoints.sqs import md5, message_attributes
from sqslite.entrypoints.sqs.errors import SqsError
from sqslite.entrypoints.sqs.inputs import AttributeValue
from sqslite.entrypoints.sqs.md5 import Attribute
from sqslite.entrypoints.sqs.names import (
    Place,
    is_fifo_name,
    is_standard_name,
    message_uuid,
    parse_arn,
    queue_in,
    sequence_number,
)

HOST = "http://localhost:8080"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/000000000000/orders",
        "http://localhost:8080/000000000000/orders/",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
        "https://queue.amazonaws.com/123456789012/orders",
        "http://localhost:9324/queue/orders",
        "/000000000000/orders",
        "orders",
        "http://h/1/%6frders",
    ],
)
def test_every_form_of_a_queue_url_names_the_queue(url):
    assert queue_in(url) == "orders"


@pytest.mark.parametrize(
    "url", ["", "/", "http://h/1/", "http://h/1/a b", "http://h", "http://[/1/orders", "a" * 81, "é"]
)
def test_hostile_urls_name_no_queue(url):
    # The host of a URL without a path is no queue either.
    assert queue_in(url) in (None, "1")


def test_the_urls_and_arns_of_a_place():
    place = Place("http://localhost:8080", "000000000000", "eu-west-1")
    assert place.url("a.fifo") == "http://localhost:8080/000000000000/a.fifo"
    assert place.arn("a.fifo") == "arn:aws:sqs:eu-west-1:000000000000:a.fifo"
    assert queue_in(place.url("a.fifo")) == "a.fifo"
    assert parse_arn(place.arn("a.fifo")).resource == "a.fifo"
    assert parse_arn("arn:aws:sns:eu-west-1:000000000000:t").service == "sns"
    assert [parse_arn(text) for text in ("", "dummy", "arn:aws:sqs:x:y:z", "arn:aws:sqs:eu:1:")] == [None] * 4


def test_arns_are_in_the_partition_of_their_region():
    session = botocore.session.get_session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("sqs", partition):
            place = Place(HOST, "000000000000", region)
            assert place.partition == partition
            assert place.arn("q") == f"arn:{partition}:sqs:{region}:000000000000:q"
            assert parse_arn(place.arn("q")).resource == "q"


@pytest.mark.parametrize("region", ["", "elasticmq", "us-east-1", "cn", "us-governor-1"])
def test_regions_that_aws_does_not_have_are_in_its_first_partition(region):
    assert Place(HOST, "000000000000", region).partition == "aws"


def test_which_names_create_queue_takes():
    assert all(map(is_standard_name, ["a", "A-b_9", "x" * 80]))
    assert not any(map(is_standard_name, ["", "a.b", "x" * 81, "é", "a/b", "a.fifo", "a\n"]))
    assert all(map(is_fifo_name, ["a.fifo", "x" * 75 + ".fifo"]))
    assert not any(map(is_fifo_name, ["a", ".fifo", "x" * 76 + ".fifo", "a.b.fifo", "a.fifo\n"]))


@given(st.integers(1, MESSAGE_ID_MAX), st.integers(1, MESSAGE_ID_MAX))
def test_message_ids_are_shown_as_uuids_each_its_own(first, second):
    shown = uuid.UUID(message_uuid(first))
    assert str(shown) == message_uuid(first)
    assert (shown.version, shown.variant) == (4, uuid.RFC_4122)
    assert (message_uuid(first) == message_uuid(second)) == (first == second)


@given(st.integers(1, MESSAGE_ID_MAX - 1))
def test_sequence_numbers_have_20_digits_and_grow(message_id):
    assert len(sequence_number(message_id)) == 20
    assert sequence_number(message_id) < sequence_number(message_id + 1)


# Digests that AWS itself answered, as other projects have recorded them.
@pytest.mark.parametrize(
    ("attributes", "digest"),
    [
        ([Attribute("timestamp", "Number", b"1493147359900")], "235c5c510d26fb653d073faed50ae77c"),
        ([Attribute("timestamp", "Number.java.lang.Long", b"1493147359900")], "2e2e4876d8e0bd6b8c2c8f556831c349"),
        ([Attribute("somevalue", "String.custom", b"somevalue")], "9e05cca738e70ff6c6041e82d5e77ef1"),
        (
            [
                Attribute("attr1", "Binary", b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"),
            ],
            "8cbe4db156db8a94db8b801b7addb984",
        ),
        (
            [
                Attribute("Help.Me", "String", b"Me"),
                Attribute("Hello", "String", b"There"),
                Attribute("General", "String", b"Kenobi"),
            ],
            "4c360f3fdafd970e05fae2f149d997f5",
        ),
        (
            [
                Attribute(
                    "AWSTraceHeader",
                    "String",
                    b"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                )
            ],
            "5ae4d5d7636402d80f4eb6d213245a88",
        ),
        ([], None),
    ],
)
def test_the_digests_of_attributes_are_awss(attributes, digest):
    assert md5.of_attributes(attributes) == digest
    assert md5.of_attributes(reversed(attributes)) == digest


def test_the_digest_of_a_body():
    assert md5.of_body(b"message") == "78e731027d8fd50ed642340b7c9a63b3"


@pytest.mark.parametrize(
    "number",
    [
        *(
            "abc",
            "0x10",
            "NaN",
            "Infinity",
            "-inf",
            "1,000",
            " 1",
            "1 ",
            "1\n",
            "+-1",
            ".",
            "e5",
            "1e",
            "1e+",
            "--1",
            "١",
        ),
        *("9" * 39, "1." + "0" * 37 + "1", "1e127", "1e-129", "1" + "0" * 127, "1e9999", "9" * 100_000),
    ],
)
@pytest.mark.parametrize("type_", ["Number", "Number.int"])
def test_numbers_that_are_refused(number, type_):
    with pytest.raises(SqsError) as refusal:
        message_attributes.read({"n": string(number, type_)})
    assert str(refusal.value) == "Can't cast the value of message (user) attribute 'n' to a number."


NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
ATTRIBUTES = st.lists(
    st.one_of(
        st.builds(
            Attribute,
            NAMES,
            st.sampled_from(["String", "String.x"]),
            st.text(st.characters(codec="utf-8")).map(str.encode),
        ),
        st.builds(Attribute, NAMES, st.sampled_from(["Number", "Number.java.lang.Long"]), st.just(b"1")),
        st.builds(Attribute, NAMES, st.sampled_from(["Binary", "Binary.png"]), st.binary(min_size=1)),
    ),
    unique_by=lambda attribute: attribute.name,
    max_size=10,
)


@given(ATTRIBUTES)
def test_attributes_come_back_as_they_were_carried(attributes):
    carried = message_attributes.carried(attributes)
    assert message_attributes.uncarried(carried) == attributes
    assert all(carried[each.name] == each.value.decode() for each in attributes if each.type == "String")


@pytest.mark.parametrize("types", ["", "[]", "{", '{"a":1}', '{"a":"Binary"}'])
def test_attributes_of_other_wires_are_texts_whatever_they_are_called(types):
    shown = message_attributes.uncarried({"a": "not base64!", message_attributes.TYPES: types})
    assert shown == [Attribute("a", "String", b"not base64!")]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (["All"], "abc"),
        ([".*"], "abc"),
        (["*"], "abc"),
        (["General"], "c"),
        (["Hel.*"], "ab"),
        (["Help.*"], "a"),
        (["Help"], ""),
        (["None", "Hello"], "b"),
        (["..foo", "AWS."], ""),
        ([], ""),
    ],
)
def test_which_attributes_a_receiver_asked_for(asked, chosen):
    a, b, c = (Attribute(name, "String", b"x") for name in ("Help.Me", "Hello", "General"))
    assert message_attributes.chosen([a, b, c], asked) == [{"a": a, "b": b, "c": c}[each] for each in chosen]


def string(value="x", type_="String"):
    return AttributeValue(string_value=value, data_type=type_)


UNKNOWN_TYPE = (
    "The type of message (user) attribute 'a' is invalid. You must use only the following supported type prefixes: "
    "Binary, Number, String."
)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({f"a{n}": string() for n in range(11)}, "Number of message attributes [11] exceeds the allowed maximum [10]."),
        ({"": string()}, "The request must contain non-empty message (user) attribute names."),
        ({"L" * 257: string()}, "Message (user) attribute name must be shorter than 256 bytes."),
        ({"a": AttributeValue()}, "The message (user) attribute 'a' must contain a non-empty message attribute value."),
        ({"a": None}, "The message (user) attribute 'a' must contain a non-empty message attribute value."),
        ({"a": string(type_="")}, "The message (user) attribute 'a' must contain a non-empty message attribute type."),
        ({"a": string("")}, "Message (user) attribute 'a' must contain a non-empty value of type 'String'."),
        (
            {"a": string("x", "Binary")},
            "Message (user) attribute 'a' must contain a non-empty value of type 'Binary'.",
        ),
        ({"a": string(type_="Number." + "L" * 256)}, "Message (user) attribute type must be shorter than 256 bytes."),
        (
            {"a": string(type_="InvalidType")},
            UNKNOWN_TYPE,
        ),
        ({"a": string("world", "Number")}, "Can't cast the value of message (user) attribute 'a' to a number."),
        ({"a": string("x\x0b")}, message_attributes.INVALID_CHARACTERS),
    ],
)
def test_attributes_that_are_refused(values, sentence):
    with pytest.raises(SqsError) as refusal:
        message_attributes.read(values)
    assert str(refusal.value) == sentence
    assert refusal.value.wrong.code == "InvalidParameterValue"


@pytest.mark.parametrize("name", ["aWs.x", "AMAZON.x", ".x", "x.", "a..b", "a!b", 'a"b', "a§b", "a(b", "a?b", "a b"])
def test_names_that_are_refused(name):
    with pytest.raises(SqsError, match="Invalid message"):
        message_attributes.read({name: string()})


@pytest.mark.parametrize("name", ["attr.1øßä", "a-b_c.9", "Amazonas", "L" * 256])
def test_names_that_are_taken(name):
    assert message_attributes.read({name: string()})[0].name == name


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-0.00", "-1", "+1.5", ".5", "5.", "1e10", "1E-5", "12345678901234567890"),
        *("9" * 38, "0" * 50 + "1", "1" + "0" * 126, "0.5" + "0" * 50, "1e126", "-1e-128", "0e999"),
    ],
)
def test_numbers_that_are_taken(number):
    assert message_attributes.read({"n": string(number, "Number")})[0].value == number.encode()
