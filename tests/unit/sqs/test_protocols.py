"""Both protocols, written by botocore's own serializers and read by its own parsers."""

import base64
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import msgspec
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import example, given
from hypothesis import strategies as st

from sqslite.domain.errors import ErrorCode
from sqslite.entrypoints.sqs import inputs, json_protocol, query_protocol
from sqslite.entrypoints.sqs.errors import KIND_OF, KIND_OF_FAULT, Kind, SqsError, no_queue
from sqslite.entrypoints.sqs.signature import SignatureFault
from tests.unit.sqs.query_model import JSON_MODEL, QUERY_MODEL

SHAPES = [shape for shape in vars(inputs).values() if isinstance(shape, type) and issubclass(shape, inputs.Input)]
SHAPES.remove(inputs.Input)
URL = "http://localhost/000000000000/orders"

CALLS = {
    "SendMessage": {
        "QueueUrl": URL,
        "MessageBody": "<a & b>\r\n\té😀",
        "DelaySeconds": 3,
        "MessageAttributes": {
            "a": {"DataType": "String", "StringValue": "x=1&y"},
            "b.c": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
        },
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
        "MessageDeduplicationId": "d",
        "MessageGroupId": "g",
    },
    "SendMessageBatch": {
        "QueueUrl": URL,
        "Entries": [
            {
                "Id": str(n),
                "MessageBody": f"m{n}",
                "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "1"}},
            }
            for n in range(11)
        ],
    },
    "ReceiveMessage": {
        "QueueUrl": URL,
        "AttributeNames": ["All", "SenderId"],
        "MessageSystemAttributeNames": ["SentTimestamp"],
        "MessageAttributeNames": ["a.*", "b"],
        "MaxNumberOfMessages": 10,
        "VisibilityTimeout": 0,
        "WaitTimeSeconds": 20,
        "ReceiveRequestAttemptId": "again",
    },
    "CreateQueue": {"QueueName": "q", "Attributes": {"DelaySeconds": "1", "Policy": '{"a":"b"}'}, "tags": {"k": ""}},
    "GetQueueUrl": {"QueueName": "q", "QueueOwnerAWSAccountId": "1"},
    "ListQueues": {"QueueNamePrefix": "q", "NextToken": "t", "MaxResults": 3},
    "GetQueueAttributes": {"QueueUrl": URL, "AttributeNames": ["All"]},
    "SetQueueAttributes": {"QueueUrl": URL, "Attributes": {"VisibilityTimeout": "0"}},
    "TagQueue": {"QueueUrl": URL, "Tags": {"a": "1", "b": "2"}},
    "UntagQueue": {"QueueUrl": URL, "TagKeys": ["a", "b"]},
    "AddPermission": {"QueueUrl": URL, "Label": "l", "AWSAccountIds": ["1", "2"], "Actions": ["SendMessage", "*"]},
    "RemovePermission": {"QueueUrl": URL, "Label": "l"},
    "DeleteMessageBatch": {"QueueUrl": URL, "Entries": [{"Id": "a", "ReceiptHandle": "h"}]},
    "ChangeMessageVisibilityBatch": {
        "QueueUrl": URL,
        "Entries": [{"Id": "a", "ReceiptHandle": "h", "VisibilityTimeout": 5}],
    },
    "StartMessageMoveTask": {"SourceArn": "a", "DestinationArn": "b", "MaxNumberOfMessagesPerSecond": 5},
    "ListMessageMoveTasks": {"SourceArn": "a", "MaxResults": 2},
    "CancelMessageMoveTask": {"TaskHandle": "h"},
    "ListDeadLetterSourceQueues": {"QueueUrl": URL, "NextToken": "t", "MaxResults": 2},
    "DeleteMessage": {"QueueUrl": URL, "ReceiptHandle": "h"},
    "ChangeMessageVisibility": {"QueueUrl": URL, "ReceiptHandle": "h", "VisibilityTimeout": 5},
}
ANSWERS = {
    "SendMessage": {"MD5OfMessageBody": "x", "MessageId": "m", "SequenceNumber": "1"},
    "ReceiveMessage": {
        "Messages": [
            {
                "MessageId": "m",
                "Body": "<&>\r\n\té😀 ]]>",
                "Attributes": {"SenderId": "1"},
                "MessageAttributes": {
                    "a": {"StringValue": "<x>", "DataType": "String"},
                    "b": {"BinaryValue": base64.b64encode(b"\xff").decode(), "DataType": "Binary"},
                },
            },
            {"MessageId": "n", "Body": " "},
        ]
    },
    "SendMessageBatch": {
        "Successful": [{"Id": "a", "MessageId": "m", "MD5OfMessageBody": "x"}],
        "Failed": [{"Id": "b", "SenderFault": True, "Code": "c", "Message": "<no>"}],
    },
    "DeleteMessageBatch": {"Successful": [{"Id": "a"}, {"Id": "b"}]},
    "ChangeMessageVisibilityBatch": {"Successful": [{"Id": "a"}]},
    "GetQueueAttributes": {"Attributes": {"QueueArn": "arn", "Policy": '{"a":"<b>"}'}},
    "ListQueues": {"QueueUrls": ["u1", "u2"], "NextToken": "t"},
    "ListQueueTags": {"Tags": {"k": "v", "e": ""}},
    "ListDeadLetterSourceQueues": {"queueUrls": ["u"]},
    "ListMessageMoveTasks": {
        "Results": [{"Status": "RUNNING", "SourceArn": "a", "ApproximateNumberOfMessagesMoved": 3}]
    },
    "CreateQueue": {"QueueUrl": "u"},
}


def shape_of(action: str) -> type[inputs.Input]:
    return getattr(inputs, action, inputs.OfQueue)


def plain(value):
    """As botocore's arguments: absent members left out, binary as bytes."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def given_members(struct) -> dict:
    built = msgspec.to_builtins(struct)

    def present(value):
        if isinstance(value, dict):
            return {k: present(v) for k, v in value.items() if v is not None}
        return [present(v) for v in value] if isinstance(value, list) else value

    return present(built)


@pytest.mark.parametrize("action", CALLS)
def test_json_of_botocore_is_read(action):
    operation = JSON_MODEL.operation_model(action)
    request = create_serializer("json", include_validation=False).serialize_to_request(CALLS[action], operation)
    assert given_members(json_protocol.read(request["body"], shape_of(action))) == plain(CALLS[action])


@pytest.mark.parametrize("action", CALLS)
def test_forms_of_botocore_are_read(action):
    operation = QUERY_MODEL.operation_model(action)
    request = create_serializer("query", include_validation=False).serialize_to_request(CALLS[action], operation)
    parameters = query_protocol.fields(urlencode(request["body"]).encode())
    assert given_members(query_protocol.read(parameters, shape_of(action))) == plain(CALLS[action])


@pytest.mark.parametrize("action", ANSWERS)
@pytest.mark.parametrize("protocol", ["json", "query"])
def test_answers_are_read_by_botocore(action, protocol):
    if protocol == "json":
        model, body = JSON_MODEL, json_protocol.answer(ANSWERS[action])
    else:
        model, body = QUERY_MODEL, query_protocol.answer(action, ANSWERS[action], "r")
    response = {"status_code": 200, "headers": {}, "body": body}
    parsed = create_parser(protocol).parse(response, model.operation_model(action).output_shape)
    parsed.pop("ResponseMetadata", None)
    assert plain(parsed) == ANSWERS[action]


def test_the_names_of_the_query_protocol_are_those_of_every_flat_member():
    flat = {
        member.encode_name
        for shape in SHAPES
        for member in msgspec.structs.fields(shape)
        if any(kind in str(member.type) for kind in ("list[", "dict["))
    }
    assert flat - set(query_protocol.FLAT) == {"Entries"}


@pytest.mark.parametrize("kind", Kind)
def test_refusals_are_read_by_botocore_with_code_status_and_fault(kind):
    error = SqsError(kind, 'not "so" <&>')
    body, headers = json_protocol.refusal(error)
    shape = JSON_MODEL.operation_model("SendMessage").output_shape
    response = {
        "status_code": error.wrong.status,
        "headers": {name.decode(): value.decode() for name, value in headers},
        "body": body,
    }
    parsed = create_parser("json").parse(response, shape)
    assert parsed["Error"]["Message"] == str(error)
    # 5xx that botocore does not take for a service's own answer are parsed generically.
    assert parsed["Error"]["Code"] == error.wrong.code
    assert parsed["Error"]["Type"] == error.wrong.fault
    assert parsed["Error"]["QueryErrorCode"] == error.wrong.type.partition("#")[2]

    response = {"status_code": error.wrong.status, "headers": {}, "body": query_protocol.refusal(error, "r-1")}
    parsed = create_parser("query").parse(response, QUERY_MODEL.operation_model("SendMessage").output_shape)
    assert parsed["Error"]["Code"] == error.wrong.code
    assert parsed["Error"]["Type"] == error.wrong.fault
    assert parsed["Error"]["Message"].startswith("not ")
    assert parsed["ResponseMetadata"]["RequestId"] == "r-1"


def test_a_missing_queue_is_told_differently_in_the_two_protocols():
    assert b'"The specified queue does not exist."' in json_protocol.refusal(no_queue())[0]
    assert b"The specified queue does not exist for this wsdl version.<" in query_protocol.refusal(no_queue(), "r")


def test_every_code_of_the_domain_and_every_fault_of_a_signature_has_its_kind():
    assert set(KIND_OF) == set(ErrorCode)
    assert set(KIND_OF_FAULT) == set(SignatureFault)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"DelaySeconds":"x"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds":1.5}', "DECIMAL_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds":true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds":1e400}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds":' + b"9" * 100_000 + b"}", "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds":{}}', "Start of structure or map found where not expected."),
        (b'{"MessageBody":[]}', "Start of list found where not expected"),
        (b"[]", "Start of list found where not expected"),
        (b"{", "The request body is not valid JSON in UTF-8."),
        (b'{"MessageBody":"\xff"}', "The request body is not valid JSON in UTF-8."),
        (b'{"X":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "The request body is not valid JSON in UTF-8."),
    ],
)
def test_json_that_does_not_fit_is_malformed_input(body, sentence):
    with pytest.raises(SqsError) as refusal:
        json_protocol.read(body, inputs.SendMessage)
    assert (refusal.value.kind, str(refusal.value)) == (Kind.MALFORMED_INPUT, sentence)


def test_text_may_come_as_another_plain_value_and_numbers_as_text():
    read = json_protocol.read(b'{"QueueUrl":null,"MessageBody":0,"DelaySeconds":"5","New":{}}', inputs.SendMessage)
    assert (inputs.text(read.queue_url), inputs.text(read.message_body), read.delay_seconds) == (None, "0", 5)
    assert inputs.texts_by_name({"a": True, "b": None, "c": 2}) == {"a": "true", "c": "2"}


def test_what_xml_cannot_write_is_replaced():
    body = query_protocol.answer("ReceiveMessage", {"Messages": [{"Body": "a\x00b\ufffe"}]}, "r")
    assert ElementTree.fromstring(body).findtext(".//{*}Body") == "a\ufffdb\ufffd"


def test_lists_and_maps_may_come_without_numbers_and_in_any_order():
    parameters = query_protocol.fields(b"AttributeName=All&QueueUrl=q")
    assert query_protocol.read(parameters, inputs.GetQueueAttributes).attribute_names == ["All"]
    parameters = query_protocol.fields(b"TagKey.10=c&TagKey.2=b&TagKey.1=a&TagKey.x=z&TagKey.1=again")
    assert query_protocol.read(parameters, inputs.UntagQueue).tag_keys == ["a", "b", "c"]
    parameters = query_protocol.fields(b"Attribute.Name=Policy&Attribute.Value=")
    assert query_protocol.read(parameters, inputs.SetQueueAttributes).attributes == {"Policy": ""}


@given(st.text(alphabet=r"a1fx%+&=.\\;/", max_size=30))
def test_forms_are_read_as_the_standard_library_reads_them(form):
    try:
        expected = dict(reversed(parse_qsl(form, keep_blank_values=True, errors="strict")))
    except UnicodeDecodeError:
        with pytest.raises(SqsError):
            query_protocol.fields(form.encode())
    else:
        assert query_protocol.fields(form.encode()) == expected


PIECES = [bytes([byte]) for byte in b"=\r\n \t+_aZ09~\\\x00\x7f\xc3\xa9.%"] + [
    b"%25",
    b"%3d",
    b"%C3%A9",
    b"%00",
    b"\xc3\xa9",
]


@example(b"\xc3%a9")
@given(st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_text_stands_in_a_form_escaped_or_as_it_is(value):
    try:
        expected = unquote_to_bytes(value.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        assert refused(lambda: query_protocol.fields(b"a=" + value)) is Kind.MALFORMED_QUERY
    else:
        assert query_protocol.fields(b"a=" + value + b"&b") == {"a": expected, "b": ""}


@pytest.mark.parametrize("form", [b"a=%ff", b"\xe9=1", b"a=\xff", b"&".join(b"a%d=1" % n for n in range(6_000))])
def test_a_form_that_cannot_be_read_is_a_malformed_query_string(form):
    with pytest.raises(SqsError) as refusal:
        query_protocol.fields(form)
    assert refusal.value.kind is Kind.MALFORMED_QUERY


NAMES = st.sampled_from(
    [
        "QueueUrl",
        "Attribute",
        "Entries",
        "SendMessageBatchRequestEntry",
        "MessageAttribute",
        "Name",
        "Value",
        "1",
        "2",
        "",
    ]
)


def refused(read) -> Kind | None:
    """The kind of refusal; None where it is read after all. Anything else is a defect."""
    try:
        read()
    except SqsError as refusal:
        return refusal.kind
    return None


@given(st.sampled_from(SHAPES), st.dictionaries(st.lists(NAMES, max_size=12).map(".".join), st.text(max_size=5)))
def test_any_fields_are_read_or_refused(shape, parameters):
    assert refused(lambda: query_protocol.read(parameters, shape)) in (None, Kind.MALFORMED_INPUT)


@given(st.sampled_from(SHAPES), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(shape, body):
    assert refused(lambda: json_protocol.read(body, shape)) in (None, Kind.MALFORMED_INPUT)
    outcome = refused(lambda: query_protocol.read(query_protocol.fields(body), shape))
    assert outcome in (None, Kind.MALFORMED_INPUT, Kind.MALFORMED_QUERY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_any_json_in_known_members_is_read_or_refused(data):
    shape = data.draw(st.sampled_from(SHAPES))
    members = st.sampled_from(shape.__struct_encode_fields__)
    body = msgspec.json.encode(data.draw(st.dictionaries(members, JSON, max_size=4)))
    assert refused(lambda: json_protocol.read(body, shape)) in (None, Kind.MALFORMED_INPUT)


@given(st.text(), st.text())
def test_any_text_makes_well_formed_xml(name, value):
    answer = query_protocol.answer("ListQueueTags", {"Tags": {name: value}}, "r")
    assert ElementTree.fromstring(answer).find(".//{*}Tag") is not None
