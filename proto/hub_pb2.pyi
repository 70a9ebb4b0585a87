from gnomon.proto import registry_pb2 as _registry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InstallState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSTALL_STATE_UNSPECIFIED: _ClassVar[InstallState]
    IDLE: _ClassVar[InstallState]
    CHECK: _ClassVar[InstallState]
    DOWNLOAD: _ClassVar[InstallState]
    VERIFY: _ClassVar[InstallState]
    STAGE: _ClassVar[InstallState]
    WARM: _ClassVar[InstallState]
    TRIAL: _ClassVar[InstallState]
    COMMIT: _ClassVar[InstallState]
    ROLLBACK: _ClassVar[InstallState]
INSTALL_STATE_UNSPECIFIED: InstallState
IDLE: InstallState
CHECK: InstallState
DOWNLOAD: InstallState
VERIFY: InstallState
STAGE: InstallState
WARM: InstallState
TRIAL: InstallState
COMMIT: InstallState
ROLLBACK: InstallState

class EnrollRequest(_message.Message):
    __slots__ = ("token", "certificate_request", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    token: str
    certificate_request: bytes
    facts: _containers.ScalarMap[str, str]
    def __init__(self, token: _Optional[str] = ..., certificate_request: _Optional[bytes] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EnrollResponse(_message.Message):
    __slots__ = ("certificate", "authority", "trusted_keys", "limited_keys")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_KEYS_FIELD_NUMBER: _ClassVar[int]
    LIMITED_KEYS_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    authority: bytes
    trusted_keys: _containers.RepeatedScalarFieldContainer[bytes]
    limited_keys: _containers.RepeatedCompositeFieldContainer[LimitedKey]
    def __init__(self, certificate: _Optional[bytes] = ..., authority: _Optional[bytes] = ..., trusted_keys: _Optional[_Iterable[bytes]] = ..., limited_keys: _Optional[_Iterable[_Union[LimitedKey, _Mapping]]] = ...) -> None: ...

class LimitedKey(_message.Message):
    __slots__ = ("key", "models")
    KEY_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    models: str
    def __init__(self, key: _Optional[bytes] = ..., models: _Optional[str] = ...) -> None: ...

class PackageRef(_message.Message):
    __slots__ = ("name", "version", "digest", "format", "envelopes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    digest: str
    format: str
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., format: _Optional[str] = ..., envelopes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("digest", "weight")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    weight: int
    def __init__(self, digest: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("name", "targets", "shadows", "fallback_digest", "fallbacks")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    SHADOWS_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    name: str
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    shadows: _containers.RepeatedCompositeFieldContainer[Target]
    fallback_digest: str
    fallbacks: _containers.RepeatedCompositeFieldContainer[Fallback]
    def __init__(self, name: _Optional[str] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., shadows: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., fallback_digest: _Optional[str] = ..., fallbacks: _Optional[_Iterable[_Union[Fallback, _Mapping]]] = ...) -> None: ...

class Fallback(_message.Message):
    __slots__ = ("digest", "rule", "constant")
    class RuleEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    rule: _containers.ScalarMap[str, str]
    constant: str
    def __init__(self, digest: _Optional[str] = ..., rule: _Optional[_Mapping[str, str]] = ..., constant: _Optional[str] = ...) -> None: ...

class DesiredState(_message.Message):
    __slots__ = ("generation", "packages", "routes", "epoch", "node")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    generation: int
    packages: _containers.RepeatedCompositeFieldContainer[PackageRef]
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    epoch: int
    node: str
    def __init__(self, generation: _Optional[int] = ..., packages: _Optional[_Iterable[_Union[PackageRef, _Mapping]]] = ..., routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ..., epoch: _Optional[int] = ..., node: _Optional[str] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("key_id", "signature")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    signature: bytes
    def __init__(self, key_id: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SignedState(_message.Message):
    __slots__ = ("state", "signatures")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    def __init__(self, state: _Optional[bytes] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ...) -> None: ...

class Metadata(_message.Message):
    __slots__ = ("role", "version", "data")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    role: str
    version: int
    data: bytes
    def __init__(self, role: _Optional[str] = ..., version: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class ReportedState(_message.Message):
    __slots__ = ("generation", "state", "digests", "refused_generation", "reason", "epoch", "refused_epoch", "refused")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REFUSED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    generation: int
    state: InstallState
    digests: _containers.RepeatedScalarFieldContainer[str]
    refused_generation: int
    reason: str
    epoch: int
    refused_epoch: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    def __init__(self, generation: _Optional[int] = ..., state: _Optional[_Union[InstallState, str]] = ..., digests: _Optional[_Iterable[str]] = ..., refused_generation: _Optional[int] = ..., reason: _Optional[str] = ..., epoch: _Optional[int] = ..., refused_epoch: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("route", "digest", "reason")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    route: str
    digest: str
    reason: str
    def __init__(self, route: _Optional[str] = ..., digest: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SpoolFigures(_message.Message):
    __slots__ = ("records", "bytes", "merged", "dropped")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MERGED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    records: int
    bytes: int
    merged: int
    dropped: int
    def __init__(self, records: _Optional[int] = ..., bytes: _Optional[int] = ..., merged: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...

class ExchangeRequest(_message.Message):
    __slots__ = ("boot", "sequence", "reported", "spool", "facts", "metadata_versions", "metadata", "audit_sequence", "acknowledged", "known_states")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MetadataVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class AcknowledgedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    BOOT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPORTED_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    METADATA_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    KNOWN_STATES_FIELD_NUMBER: _ClassVar[int]
    boot: str
    sequence: int
    reported: ReportedState
    spool: SpoolFigures
    facts: _containers.ScalarMap[str, str]
    metadata_versions: _containers.ScalarMap[str, int]
    metadata: _containers.RepeatedCompositeFieldContainer[Metadata]
    audit_sequence: int
    acknowledged: _containers.ScalarMap[str, int]
    known_states: _containers.RepeatedCompositeFieldContainer[SignedState]
    def __init__(self, boot: _Optional[str] = ..., sequence: _Optional[int] = ..., reported: _Optional[_Union[ReportedState, _Mapping]] = ..., spool: _Optional[_Union[SpoolFigures, _Mapping]] = ..., facts: _Optional[_Mapping[str, str]] = ..., metadata_versions: _Optional[_Mapping[str, int]] = ..., metadata: _Optional[_Iterable[_Union[Metadata, _Mapping]]] = ..., audit_sequence: _Optional[int] = ..., acknowledged: _Optional[_Mapping[str, int]] = ..., known_states: _Optional[_Iterable[_Union[SignedState, _Mapping]]] = ...) -> None: ...

class ExchangeResponse(_message.Message):
    __slots__ = ("desired", "call_again_ms", "hub_time_unix_ms", "signed", "metadata", "wanted_metadata", "audit_head", "audit_known_hash", "watermarks")
    class WatermarksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    CALL_AGAIN_MS_FIELD_NUMBER: _ClassVar[int]
    HUB_TIME_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    WANTED_METADATA_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    AUDIT_KNOWN_HASH_FIELD_NUMBER: _ClassVar[int]
    WATERMARKS_FIELD_NUMBER: _ClassVar[int]
    desired: DesiredState
    call_again_ms: int
    hub_time_unix_ms: int
    signed: SignedState
    metadata: _containers.RepeatedCompositeFieldContainer[Metadata]
    wanted_metadata: _containers.RepeatedScalarFieldContainer[str]
    audit_head: SignedAuditHead
    audit_known_hash: str
    watermarks: _containers.ScalarMap[str, int]
    def __init__(self, desired: _Optional[_Union[DesiredState, _Mapping]] = ..., call_again_ms: _Optional[int] = ..., hub_time_unix_ms: _Optional[int] = ..., signed: _Optional[_Union[SignedState, _Mapping]] = ..., metadata: _Optional[_Iterable[_Union[Metadata, _Mapping]]] = ..., wanted_metadata: _Optional[_Iterable[str]] = ..., audit_head: _Optional[_Union[SignedAuditHead, _Mapping]] = ..., audit_known_hash: _Optional[str] = ..., watermarks: _Optional[_Mapping[str, int]] = ...) -> None: ...

class AuditHead(_message.Message):
    __slots__ = ("epoch", "sequence", "hash")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    sequence: int
    hash: str
    def __init__(self, epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class SignedAuditHead(_message.Message):
    __slots__ = ("head", "signatures")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    head: bytes
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    def __init__(self, head: _Optional[bytes] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ...) -> None: ...

class GetBlobsRequest(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digests: _Optional[_Iterable[str]] = ...) -> None: ...

class Blob(_message.Message):
    __slots__ = ("digest", "data")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    digest: str
    data: bytes
    def __init__(self, digest: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("sequence", "recorded_at_unix_ms", "window", "predictions", "refusal", "label", "event")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    recorded_at_unix_ms: int
    window: Window
    predictions: Predictions
    refusal: Refusal
    label: Label
    event: Event
    def __init__(self, sequence: _Optional[int] = ..., recorded_at_unix_ms: _Optional[int] = ..., window: _Optional[_Union[Window, _Mapping]] = ..., predictions: _Optional[_Union[Predictions, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., label: _Optional[_Union[Label, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("digest", "route", "started_at_unix_ms", "ended_at_unix_ms", "rows", "window", "shadow")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    digest: str
    route: str
    started_at_unix_ms: int
    ended_at_unix_ms: int
    rows: int
    window: bytes
    shadow: bool
    def __init__(self, digest: _Optional[str] = ..., route: _Optional[str] = ..., started_at_unix_ms: _Optional[int] = ..., ended_at_unix_ms: _Optional[int] = ..., rows: _Optional[int] = ..., window: _Optional[bytes] = ..., shadow: bool = ...) -> None: ...

class Predictions(_message.Message):
    __slots__ = ("digest", "request_ids", "at_unix_ms", "values")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    request_ids: _containers.RepeatedScalarFieldContainer[str]
    at_unix_ms: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, digest: _Optional[str] = ..., request_ids: _Optional[_Iterable[str]] = ..., at_unix_ms: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("digest", "request_id", "at_unix_ms", "field", "rule", "value", "expected")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    digest: str
    request_id: str
    at_unix_ms: int
    field: str
    rule: str
    value: str
    expected: str
    def __init__(self, digest: _Optional[str] = ..., request_id: _Optional[str] = ..., at_unix_ms: _Optional[int] = ..., field: _Optional[str] = ..., rule: _Optional[str] = ..., value: _Optional[str] = ..., expected: _Optional[str] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("model", "request_id", "at_unix_ms", "value")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    model: str
    request_id: str
    at_unix_ms: int
    value: float
    def __init__(self, model: _Optional[str] = ..., request_id: _Optional[str] = ..., at_unix_ms: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("kind", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    detail: str
    def __init__(self, kind: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("boot", "records", "acknowledged", "kept_from")
    BOOT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    KEPT_FROM_FIELD_NUMBER: _ClassVar[int]
    boot: str
    records: _containers.RepeatedScalarFieldContainer[bytes]
    acknowledged: int
    kept_from: int
    def __init__(self, boot: _Optional[str] = ..., records: _Optional[_Iterable[bytes]] = ..., acknowledged: _Optional[int] = ..., kept_from: _Optional[int] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("watermark", "send_again")
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    SEND_AGAIN_FIELD_NUMBER: _ClassVar[int]
    watermark: int
    send_again: bool
    def __init__(self, watermark: _Optional[int] = ..., send_again: bool = ...) -> None: ...

class FindMissingRequest(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digests: _Optional[_Iterable[str]] = ...) -> None: ...

class FindMissingResponse(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digests: _Optional[_Iterable[str]] = ...) -> None: ...

class PutBlobsResponse(_message.Message):
    __slots__ = ("stored",)
    STORED_FIELD_NUMBER: _ClassVar[int]
    stored: int
    def __init__(self, stored: _Optional[int] = ...) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("digest", "envelopes")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, digest: _Optional[str] = ..., envelopes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("package", "created")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    package: PackageRef
    created: bool
    def __init__(self, package: _Optional[_Union[PackageRef, _Mapping]] = ..., created: bool = ...) -> None: ...

class Question(_message.Message):
    __slots__ = ("operation", "parameters")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    operation: str
    parameters: bytes
    def __init__(self, operation: _Optional[str] = ..., parameters: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    def __init__(self, value: _Optional[bytes] = ...) -> None: ...
