import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BodyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BODY_KIND_UNSPECIFIED: _ClassVar[BodyKind]
    BODY_KIND_JSON: _ClassVar[BodyKind]
    BODY_KIND_TEXT: _ClassVar[BodyKind]
    BODY_KIND_BINARY: _ClassVar[BodyKind]

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_READY: _ClassVar[State]
    STATE_DELAYED: _ClassVar[State]
    STATE_LEASED: _ClassVar[State]

class BackoffKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKOFF_KIND_UNSPECIFIED: _ClassVar[BackoffKind]
    BACKOFF_KIND_NONE: _ClassVar[BackoffKind]
    BACKOFF_KIND_FIXED: _ClassVar[BackoffKind]
    BACKOFF_KIND_LINEAR: _ClassVar[BackoffKind]
    BACKOFF_KIND_EXPONENTIAL: _ClassVar[BackoffKind]

class DedupScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEDUP_SCOPE_UNSPECIFIED: _ClassVar[DedupScope]
    DEDUP_SCOPE_QUEUE: _ClassVar[DedupScope]
    DEDUP_SCOPE_GROUP: _ClassVar[DedupScope]

class RedriveState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REDRIVE_STATE_UNSPECIFIED: _ClassVar[RedriveState]
    REDRIVE_STATE_RUNNING: _ClassVar[RedriveState]
    REDRIVE_STATE_COMPLETED: _ClassVar[RedriveState]
    REDRIVE_STATE_CANCELLED: _ClassVar[RedriveState]
    REDRIVE_STATE_FAILED: _ClassVar[RedriveState]
BODY_KIND_UNSPECIFIED: BodyKind
BODY_KIND_JSON: BodyKind
BODY_KIND_TEXT: BodyKind
BODY_KIND_BINARY: BodyKind
STATE_UNSPECIFIED: State
STATE_READY: State
STATE_DELAYED: State
STATE_LEASED: State
BACKOFF_KIND_UNSPECIFIED: BackoffKind
BACKOFF_KIND_NONE: BackoffKind
BACKOFF_KIND_FIXED: BackoffKind
BACKOFF_KIND_LINEAR: BackoffKind
BACKOFF_KIND_EXPONENTIAL: BackoffKind
DEDUP_SCOPE_UNSPECIFIED: DedupScope
DEDUP_SCOPE_QUEUE: DedupScope
DEDUP_SCOPE_GROUP: DedupScope
REDRIVE_STATE_UNSPECIFIED: RedriveState
REDRIVE_STATE_RUNNING: RedriveState
REDRIVE_STATE_COMPLETED: RedriveState
REDRIVE_STATE_CANCELLED: RedriveState
REDRIVE_STATE_FAILED: RedriveState

class NewMessage(_message.Message):
    __slots__ = ("body", "body_kind", "attributes", "delay_ms", "max_retries", "dlq", "trace_id", "group_id", "dedup_id", "retention_ms")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_KIND_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    DLQ_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    DEDUP_ID_FIELD_NUMBER: _ClassVar[int]
    RETENTION_MS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    body_kind: BodyKind
    attributes: _containers.ScalarMap[str, str]
    delay_ms: int
    max_retries: int
    dlq: str
    trace_id: str
    group_id: str
    dedup_id: str
    retention_ms: int
    def __init__(self, body: _Optional[bytes] = ..., body_kind: _Optional[_Union[BodyKind, str]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., delay_ms: _Optional[int] = ..., max_retries: _Optional[int] = ..., dlq: _Optional[str] = ..., trace_id: _Optional[str] = ..., group_id: _Optional[str] = ..., dedup_id: _Optional[str] = ..., retention_ms: _Optional[int] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("id", "body", "body_kind", "attributes", "enqueued_at", "not_before", "lease_until", "expires_at", "delivery_count", "fence", "max_retries", "dlq", "trace_id", "group_id", "last_error", "origin_queue", "origin_delivery_count", "dedup_id", "first_claimed_at")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_KIND_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ENQUEUED_AT_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    DLQ_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_QUEUE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEDUP_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_CLAIMED_AT_FIELD_NUMBER: _ClassVar[int]
    id: int
    body: bytes
    body_kind: BodyKind
    attributes: _containers.ScalarMap[str, str]
    enqueued_at: _timestamp_pb2.Timestamp
    not_before: _timestamp_pb2.Timestamp
    lease_until: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    delivery_count: int
    fence: int
    max_retries: int
    dlq: str
    trace_id: str
    group_id: str
    last_error: str
    origin_queue: str
    origin_delivery_count: int
    dedup_id: str
    first_claimed_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., body: _Optional[bytes] = ..., body_kind: _Optional[_Union[BodyKind, str]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., enqueued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delivery_count: _Optional[int] = ..., fence: _Optional[int] = ..., max_retries: _Optional[int] = ..., dlq: _Optional[str] = ..., trace_id: _Optional[str] = ..., group_id: _Optional[str] = ..., last_error: _Optional[str] = ..., origin_queue: _Optional[str] = ..., origin_delivery_count: _Optional[int] = ..., dedup_id: _Optional[str] = ..., first_claimed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("message", "receipt")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    message: Message
    receipt: str
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., receipt: _Optional[str] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "text")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("error", "id", "duplicate", "lease_until")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    error: Error
    id: int
    duplicate: bool
    lease_until: _timestamp_pb2.Timestamp
    def __init__(self, error: _Optional[_Union[Error, _Mapping]] = ..., id: _Optional[int] = ..., duplicate: bool = ..., lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class EnqueueRequest(_message.Message):
    __slots__ = ("queue", "message")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    message: NewMessage
    def __init__(self, queue: _Optional[str] = ..., message: _Optional[_Union[NewMessage, _Mapping]] = ...) -> None: ...

class EnqueueResponse(_message.Message):
    __slots__ = ("id", "duplicate")
    ID_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    id: int
    duplicate: bool
    def __init__(self, id: _Optional[int] = ..., duplicate: bool = ...) -> None: ...

class EnqueueBatchRequest(_message.Message):
    __slots__ = ("queue", "messages")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    queue: str
    messages: _containers.RepeatedCompositeFieldContainer[NewMessage]
    def __init__(self, queue: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[NewMessage, _Mapping]]] = ...) -> None: ...

class ReceiveRequest(_message.Message):
    __slots__ = ("queue", "max", "visibility_ms", "wait_ms", "attempt_id", "answer_bytes_max")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_MS_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    queue: str
    max: int
    visibility_ms: int
    wait_ms: int
    attempt_id: str
    answer_bytes_max: int
    def __init__(self, queue: _Optional[str] = ..., max: _Optional[int] = ..., visibility_ms: _Optional[int] = ..., wait_ms: _Optional[int] = ..., attempt_id: _Optional[str] = ..., answer_bytes_max: _Optional[int] = ...) -> None: ...

class ReceiveResponse(_message.Message):
    __slots__ = ("deliveries",)
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    deliveries: _containers.RepeatedCompositeFieldContainer[Delivery]
    def __init__(self, deliveries: _Optional[_Iterable[_Union[Delivery, _Mapping]]] = ...) -> None: ...

class ConsumeRequest(_message.Message):
    __slots__ = ("start", "credits", "acks", "nacks", "extends")
    START_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    ACKS_FIELD_NUMBER: _ClassVar[int]
    NACKS_FIELD_NUMBER: _ClassVar[int]
    EXTENDS_FIELD_NUMBER: _ClassVar[int]
    start: ConsumeStart
    credits: int
    acks: _containers.RepeatedCompositeFieldContainer[AckRequest]
    nacks: _containers.RepeatedCompositeFieldContainer[NackRequest]
    extends: _containers.RepeatedCompositeFieldContainer[ExtendRequest]
    def __init__(self, start: _Optional[_Union[ConsumeStart, _Mapping]] = ..., credits: _Optional[int] = ..., acks: _Optional[_Iterable[_Union[AckRequest, _Mapping]]] = ..., nacks: _Optional[_Iterable[_Union[NackRequest, _Mapping]]] = ..., extends: _Optional[_Iterable[_Union[ExtendRequest, _Mapping]]] = ...) -> None: ...

class ConsumeStart(_message.Message):
    __slots__ = ("queue", "visibility_ms", "keep_leases")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_MS_FIELD_NUMBER: _ClassVar[int]
    KEEP_LEASES_FIELD_NUMBER: _ClassVar[int]
    queue: str
    visibility_ms: int
    keep_leases: bool
    def __init__(self, queue: _Optional[str] = ..., visibility_ms: _Optional[int] = ..., keep_leases: bool = ...) -> None: ...

class ConsumeResponse(_message.Message):
    __slots__ = ("deliveries", "settled")
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    deliveries: _containers.RepeatedCompositeFieldContainer[Delivery]
    settled: _containers.RepeatedCompositeFieldContainer[Settled]
    def __init__(self, deliveries: _Optional[_Iterable[_Union[Delivery, _Mapping]]] = ..., settled: _Optional[_Iterable[_Union[Settled, _Mapping]]] = ...) -> None: ...

class Settled(_message.Message):
    __slots__ = ("receipt", "result")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    result: Result
    def __init__(self, receipt: _Optional[str] = ..., result: _Optional[_Union[Result, _Mapping]] = ...) -> None: ...

class AckRequest(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    def __init__(self, receipt: _Optional[str] = ...) -> None: ...

class AckResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AckBatchRequest(_message.Message):
    __slots__ = ("acks",)
    ACKS_FIELD_NUMBER: _ClassVar[int]
    acks: _containers.RepeatedCompositeFieldContainer[AckRequest]
    def __init__(self, acks: _Optional[_Iterable[_Union[AckRequest, _Mapping]]] = ...) -> None: ...

class NackRequest(_message.Message):
    __slots__ = ("receipt", "delay_ms", "error", "dead_letter")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    delay_ms: int
    error: str
    dead_letter: bool
    def __init__(self, receipt: _Optional[str] = ..., delay_ms: _Optional[int] = ..., error: _Optional[str] = ..., dead_letter: bool = ...) -> None: ...

class NackResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NackBatchRequest(_message.Message):
    __slots__ = ("nacks",)
    NACKS_FIELD_NUMBER: _ClassVar[int]
    nacks: _containers.RepeatedCompositeFieldContainer[NackRequest]
    def __init__(self, nacks: _Optional[_Iterable[_Union[NackRequest, _Mapping]]] = ...) -> None: ...

class ExtendRequest(_message.Message):
    __slots__ = ("receipt", "visibility_ms")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_MS_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    visibility_ms: int
    def __init__(self, receipt: _Optional[str] = ..., visibility_ms: _Optional[int] = ...) -> None: ...

class ExtendResponse(_message.Message):
    __slots__ = ("lease_until",)
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    lease_until: _timestamp_pb2.Timestamp
    def __init__(self, lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExtendBatchRequest(_message.Message):
    __slots__ = ("extends",)
    EXTENDS_FIELD_NUMBER: _ClassVar[int]
    extends: _containers.RepeatedCompositeFieldContainer[ExtendRequest]
    def __init__(self, extends: _Optional[_Iterable[_Union[ExtendRequest, _Mapping]]] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class StatsResponse(_message.Message):
    __slots__ = ("ready", "delayed", "in_flight", "oldest_ready_age_ms", "approximate", "enqueued_total", "received_total", "acked_total", "dead_lettered_total")
    READY_FIELD_NUMBER: _ClassVar[int]
    DELAYED_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    OLDEST_READY_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    APPROXIMATE_FIELD_NUMBER: _ClassVar[int]
    ENQUEUED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ACKED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ready: int
    delayed: int
    in_flight: int
    oldest_ready_age_ms: int
    approximate: bool
    enqueued_total: int
    received_total: int
    acked_total: int
    dead_lettered_total: int
    def __init__(self, ready: _Optional[int] = ..., delayed: _Optional[int] = ..., in_flight: _Optional[int] = ..., oldest_ready_age_ms: _Optional[int] = ..., approximate: bool = ..., enqueued_total: _Optional[int] = ..., received_total: _Optional[int] = ..., acked_total: _Optional[int] = ..., dead_lettered_total: _Optional[int] = ...) -> None: ...

class PeekRequest(_message.Message):
    __slots__ = ("queue", "state", "after", "limit")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    queue: str
    state: State
    after: str
    limit: int
    def __init__(self, queue: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class PeekResponse(_message.Message):
    __slots__ = ("messages", "after")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Seen]
    after: str
    def __init__(self, messages: _Optional[_Iterable[_Union[Seen, _Mapping]]] = ..., after: _Optional[str] = ...) -> None: ...

class Seen(_message.Message):
    __slots__ = ("state", "message")
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    state: State
    message: Message
    def __init__(self, state: _Optional[_Union[State, str]] = ..., message: _Optional[_Union[Message, _Mapping]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("queue", "state", "message", "code", "reason", "changes_at", "blocked_by")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGES_AT_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_BY_FIELD_NUMBER: _ClassVar[int]
    queue: str
    state: State
    message: Message
    code: str
    reason: str
    changes_at: _timestamp_pb2.Timestamp
    blocked_by: int
    def __init__(self, queue: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., changes_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., blocked_by: _Optional[int] = ...) -> None: ...

class Backoff(_message.Message):
    __slots__ = ("kind", "base_ms", "factor", "max_ms", "jitter")
    KIND_FIELD_NUMBER: _ClassVar[int]
    BASE_MS_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    MAX_MS_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    kind: BackoffKind
    base_ms: int
    factor: float
    max_ms: int
    jitter: float
    def __init__(self, kind: _Optional[_Union[BackoffKind, str]] = ..., base_ms: _Optional[int] = ..., factor: _Optional[float] = ..., max_ms: _Optional[int] = ..., jitter: _Optional[float] = ...) -> None: ...

class QueueSettings(_message.Message):
    __slots__ = ("fifo", "fair", "visibility_ms", "delay_ms", "max_retries", "dlq", "retention_ms", "dedup_ms", "dedup_scope", "dedup_by_content", "receive_wait_ms", "body_bytes_max", "backoff", "tags", "in_flight_max", "redrive_allow", "annotations")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FIFO_FIELD_NUMBER: _ClassVar[int]
    FAIR_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_MS_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    DLQ_FIELD_NUMBER: _ClassVar[int]
    RETENTION_MS_FIELD_NUMBER: _ClassVar[int]
    DEDUP_MS_FIELD_NUMBER: _ClassVar[int]
    DEDUP_SCOPE_FIELD_NUMBER: _ClassVar[int]
    DEDUP_BY_CONTENT_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    BODY_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_MAX_FIELD_NUMBER: _ClassVar[int]
    REDRIVE_ALLOW_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    fifo: bool
    fair: bool
    visibility_ms: int
    delay_ms: int
    max_retries: int
    dlq: str
    retention_ms: int
    dedup_ms: int
    dedup_scope: DedupScope
    dedup_by_content: bool
    receive_wait_ms: int
    body_bytes_max: int
    backoff: Backoff
    tags: _containers.ScalarMap[str, str]
    in_flight_max: int
    redrive_allow: RedriveAllow
    annotations: _containers.ScalarMap[str, str]
    def __init__(self, fifo: bool = ..., fair: bool = ..., visibility_ms: _Optional[int] = ..., delay_ms: _Optional[int] = ..., max_retries: _Optional[int] = ..., dlq: _Optional[str] = ..., retention_ms: _Optional[int] = ..., dedup_ms: _Optional[int] = ..., dedup_scope: _Optional[_Union[DedupScope, str]] = ..., dedup_by_content: bool = ..., receive_wait_ms: _Optional[int] = ..., body_bytes_max: _Optional[int] = ..., backoff: _Optional[_Union[Backoff, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., in_flight_max: _Optional[int] = ..., redrive_allow: _Optional[_Union[RedriveAllow, _Mapping]] = ..., annotations: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RedriveAllow(_message.Message):
    __slots__ = ("queues",)
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, queues: _Optional[_Iterable[str]] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("name", "paused", "settings", "created_at", "changed_at", "purged_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    PURGED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    paused: bool
    settings: QueueSettings
    created_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    purged_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., paused: bool = ..., settings: _Optional[_Union[QueueSettings, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purged_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PutQueueRequest(_message.Message):
    __slots__ = ("queue", "settings")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    queue: str
    settings: QueueSettings
    def __init__(self, queue: _Optional[str] = ..., settings: _Optional[_Union[QueueSettings, _Mapping]] = ...) -> None: ...

class PutQueueResponse(_message.Message):
    __slots__ = ("queue", "created")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    created: bool
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ..., created: bool = ...) -> None: ...

class GetQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("prefix", "after", "limit")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    after: str
    limit: int
    def __init__(self, prefix: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues", "after")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    after: str
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ..., after: _Optional[str] = ...) -> None: ...

class DeleteQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class DeleteQueueResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PurgeQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class PurgeQueueResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PauseQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class ResumeQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class StartRedriveRequest(_message.Message):
    __slots__ = ("queue", "to", "max_per_second", "limit")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    queue: str
    to: str
    max_per_second: int
    limit: int
    def __init__(self, queue: _Optional[str] = ..., to: _Optional[str] = ..., max_per_second: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Redrive(_message.Message):
    __slots__ = ("id", "queue", "state", "moved", "created_at", "ended_at", "to", "max_per_second", "limit")
    ID_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    id: int
    queue: str
    state: RedriveState
    moved: int
    created_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    to: str
    max_per_second: int
    limit: int
    def __init__(self, id: _Optional[int] = ..., queue: _Optional[str] = ..., state: _Optional[_Union[RedriveState, str]] = ..., moved: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., to: _Optional[str] = ..., max_per_second: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListRedrivesRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class ListRedrivesResponse(_message.Message):
    __slots__ = ("redrives",)
    REDRIVES_FIELD_NUMBER: _ClassVar[int]
    redrives: _containers.RepeatedCompositeFieldContainer[Redrive]
    def __init__(self, redrives: _Optional[_Iterable[_Union[Redrive, _Mapping]]] = ...) -> None: ...

class CancelRedriveRequest(_message.Message):
    __slots__ = ("queue", "id")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    queue: str
    id: int
    def __init__(self, queue: _Optional[str] = ..., id: _Optional[int] = ...) -> None: ...
