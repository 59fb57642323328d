"""The gRPC protocol: generated code that is up to date, comments, every call served, every code with a status."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc import StatusCode
from grpc_tools import protoc

from sqslite.domain.errors import ErrorCode
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import BodyKind
from sqslite.domain.queues import DedupScope, QueueSettings
from sqslite.domain.redrive import RedriveState
from sqslite.domain.retry import Backoff, BackoffKind
from sqslite.entrypoints.grpc import calls, consuming, server, shapes
from sqslite.entrypoints.grpc.errors import STATUS, CallErrorCode, refusals
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

SOURCE = Path(__file__).parents[2] / "src"
PROTO = SOURCE / "sqslite" / "entrypoints" / "grpc" / "v1" / "sqslite.proto"
STREAMED = {"Receive", "Consume"}


def compiled(*outputs: str) -> None:
    includes = (f"-I{SOURCE}", f"-I{Path(protoc.__file__).parent / '_proto'}")
    assert protoc.main(["protoc", *includes, *outputs, str(PROTO)]) == 0


def test_the_generated_code_is_what_the_proto_file_gives(tmp_path: Path):
    compiled(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}")
    made = sorted(tmp_path.rglob("*.py*"))
    assert [file.name for file in made] == ["sqslite_pb2.py", "sqslite_pb2.pyi", "sqslite_pb2_grpc.py"]
    for file in made:
        assert file.read_text() == (SOURCE / file.relative_to(tmp_path)).read_text(), "run `make proto`"


def test_every_message_field_word_and_call_has_a_comment(tmp_path: Path):
    compiled(f"--descriptor_set_out={tmp_path / 'set'}", "--include_source_info")
    (file,) = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    commented = {tuple(place.path) for place in file.source_code_info.location if place.leading_comments.strip()}
    places = dict(_places(file))
    assert len(places) > 200
    assert [name for path, name in places.items() if path not in commented] == []


def _places(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Paths as descriptor.proto numbers them: 4 messages, 5 enums, 6 services, and 2 what is in each of them."""
    for number, kinds in ((4, file.message_type), (5, file.enum_type), (6, file.service)):
        for index, kind in enumerate(kinds):
            yield (number, index), kind.name
            inner = {4: "field", 5: "value", 6: "method"}[number]
            for at, part in enumerate(getattr(kind, inner)):
                yield (number, index, 2, at), f"{kind.name}.{part.name}"


def test_every_call_of_the_protocol_is_served():
    assert set(server.CALLS) | STREAMED == set(server.SERVICE.methods_by_name)


@pytest.mark.parametrize("code", [*ErrorCode, *CallErrorCode])
def test_every_code_has_a_status(code: ErrorCode | CallErrorCode):
    assert STATUS[code] is not StatusCode.OK
    assert len(STATUS) == len(ErrorCode) + len(CallErrorCode)


def test_clients_are_told_to_try_again_only_where_nothing_was_done():
    passing = {code for code, status in STATUS.items() if status is StatusCode.UNAVAILABLE}
    assert passing == {"overloaded", "store_unavailable", "schema_too_new", "stopping"}


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (pb.BodyKind, BodyKind),
        (pb.State, (State.READY, State.DELAYED, State.LEASED)),
        (pb.BackoffKind, BackoffKind),
        (pb.DedupScope, DedupScope),
        (pb.RedriveState, RedriveState),
    ],
)
def test_the_protocol_has_the_domains_words(protocol, words):
    assert [name.rpartition("_")[2] for name in protocol.keys()] == ["UNSPECIFIED", *(word.name for word in words)]  # noqa: SIM118  no mapping


def test_the_settings_of_the_protocol_are_those_of_the_domain():
    assert [field.name for field in pb.QueueSettings.DESCRIPTOR.fields] == list(QueueSettings.__struct_fields__)
    assert [field.name for field in pb.Backoff.DESCRIPTOR.fields] == list(Backoff.__struct_fields__)
    assert shapes.settings(pb.QueueSettings()) == QueueSettings()


def test_the_numbers_in_the_comments_are_the_limits():
    text = PROTO.read_text()
    assert f"Up to {consuming.CREDITS_MAX} may be open" in text
    assert f"1 to {calls.BATCH_MAX} messages" in text


async def test_a_client_that_is_gone_is_no_defect():
    with pytest.raises(asyncio.CancelledError):
        async with refusals(Mock(), "Consume"):
            raise grpc.aio.BaseError("execute_batch failed")
