from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelSummary(_message.Message):
    __slots__ = ("name", "versions", "version_count", "in_service", "environments")
    class EnvironmentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    VERSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    IN_SERVICE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    version_count: int
    in_service: str
    environments: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ..., version_count: _Optional[int] = ..., in_service: _Optional[str] = ..., environments: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelSummary]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelSummary, _Mapping]]] = ...) -> None: ...

class PublishedPackage(_message.Message):
    __slots__ = ("name", "version", "format", "digest", "manifest_json", "envelopes", "published_at", "publisher")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_JSON_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    format: str
    digest: str
    manifest_json: str
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    published_at: int
    publisher: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., format: _Optional[str] = ..., digest: _Optional[str] = ..., manifest_json: _Optional[str] = ..., envelopes: _Optional[_Iterable[bytes]] = ..., published_at: _Optional[int] = ..., publisher: _Optional[str] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("name", "limit", "offset")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    name: str
    limit: int
    offset: int
    def __init__(self, name: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("packages",)
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    packages: _containers.RepeatedCompositeFieldContainer[PublishedPackage]
    def __init__(self, packages: _Optional[_Iterable[_Union[PublishedPackage, _Mapping]]] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("id", "digest", "environment", "model", "version", "approver", "approved_at", "reason", "withdrawn_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    APPROVED_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    digest: str
    environment: str
    model: str
    version: str
    approver: str
    approved_at: int
    reason: str
    withdrawn_at: int
    def __init__(self, id: _Optional[str] = ..., digest: _Optional[str] = ..., environment: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[str] = ..., approver: _Optional[str] = ..., approved_at: _Optional[int] = ..., reason: _Optional[str] = ..., withdrawn_at: _Optional[int] = ...) -> None: ...

class Decommission(_message.Message):
    __slots__ = ("model", "version", "decommissioned_at", "actor", "reason", "forced")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DECOMMISSIONED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    decommissioned_at: int
    actor: str
    reason: str
    forced: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., decommissioned_at: _Optional[int] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., forced: bool = ...) -> None: ...

class VersionDetails(_message.Message):
    __slots__ = ("name", "version", "aliases", "tags", "approvals", "decommissioned", "packages")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    DECOMMISSIONED_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.ScalarMap[str, str]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    decommissioned: Decommission
    packages: _containers.RepeatedCompositeFieldContainer[PublishedPackage]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Mapping[str, str]] = ..., approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ..., decommissioned: _Optional[_Union[Decommission, _Mapping]] = ..., packages: _Optional[_Iterable[_Union[PublishedPackage, _Mapping]]] = ...) -> None: ...

class GetVersionRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ListApprovalsRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ListApprovalsResponse(_message.Message):
    __slots__ = ("approvals",)
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    def __init__(self, approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ...) -> None: ...

class SearchVersionsRequest(_message.Message):
    __slots__ = ("model", "text", "alias", "tag", "format", "publisher", "owner", "risk_tier", "dataset", "since", "until", "limit", "cursor")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    RISK_TIER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    alias: str
    tag: str
    format: str
    publisher: str
    owner: str
    risk_tier: str
    dataset: str
    since: int
    until: int
    limit: int
    cursor: str
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., alias: _Optional[str] = ..., tag: _Optional[str] = ..., format: _Optional[str] = ..., publisher: _Optional[str] = ..., owner: _Optional[str] = ..., risk_tier: _Optional[str] = ..., dataset: _Optional[str] = ..., since: _Optional[int] = ..., until: _Optional[int] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class FoundPackage(_message.Message):
    __slots__ = ("name", "version", "format", "digest", "published_at", "publisher", "owner", "risk_tier", "dataset", "aliases", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    RISK_TIER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    format: str
    digest: str
    published_at: int
    publisher: str
    owner: str
    risk_tier: str
    dataset: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., format: _Optional[str] = ..., digest: _Optional[str] = ..., published_at: _Optional[int] = ..., publisher: _Optional[str] = ..., owner: _Optional[str] = ..., risk_tier: _Optional[str] = ..., dataset: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SearchVersionsResponse(_message.Message):
    __slots__ = ("packages", "next")
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    packages: _containers.RepeatedCompositeFieldContainer[FoundPackage]
    next: str
    def __init__(self, packages: _Optional[_Iterable[_Union[FoundPackage, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class ListAliasesRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Aliases(_message.Message):
    __slots__ = ("aliases",)
    class AliasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    aliases: _containers.ScalarMap[str, str]
    def __init__(self, aliases: _Optional[_Mapping[str, str]] = ...) -> None: ...

class GetAliasRequest(_message.Message):
    __slots__ = ("name", "alias")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ...) -> None: ...

class SetAliasRequest(_message.Message):
    __slots__ = ("name", "alias", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    version: str
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class SetTagsRequest(_message.Message):
    __slots__ = ("name", "version", "tags", "removed")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    tags: _containers.ScalarMap[str, str]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class Tags(_message.Message):
    __slots__ = ("tags",)
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TAGS_FIELD_NUMBER: _ClassVar[int]
    tags: _containers.ScalarMap[str, str]
    def __init__(self, tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RunSummary(_message.Message):
    __slots__ = ("id", "pipeline", "trigger", "state", "started_at", "ended_at", "code_version", "code_clean", "error", "reporter")
    ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CODE_CLEAN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REPORTER_FIELD_NUMBER: _ClassVar[int]
    id: str
    pipeline: str
    trigger: str
    state: str
    started_at: int
    ended_at: int
    code_version: str
    code_clean: bool
    error: str
    reporter: str
    def __init__(self, id: _Optional[str] = ..., pipeline: _Optional[str] = ..., trigger: _Optional[str] = ..., state: _Optional[str] = ..., started_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., code_version: _Optional[str] = ..., code_clean: bool = ..., error: _Optional[str] = ..., reporter: _Optional[str] = ...) -> None: ...

class DatasetUse(_message.Message):
    __slots__ = ("fingerprint", "uri", "others")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    uri: str
    others: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fingerprint: _Optional[str] = ..., uri: _Optional[str] = ..., others: _Optional[_Iterable[str]] = ...) -> None: ...

class PackageSummary(_message.Message):
    __slots__ = ("format", "digest", "published_at", "publisher")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    format: str
    digest: str
    published_at: int
    publisher: str
    def __init__(self, format: _Optional[str] = ..., digest: _Optional[str] = ..., published_at: _Optional[int] = ..., publisher: _Optional[str] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("id", "model", "version", "environment", "started_at", "ended_at", "actor")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    version: str
    environment: str
    started_at: int
    ended_at: int
    actor: str
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[str] = ..., environment: _Optional[str] = ..., started_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., actor: _Optional[str] = ...) -> None: ...

class RolloutStep(_message.Message):
    __slots__ = ("position", "weight", "entered_at", "left_at")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ENTERED_AT_FIELD_NUMBER: _ClassVar[int]
    LEFT_AT_FIELD_NUMBER: _ClassVar[int]
    position: int
    weight: int
    entered_at: int
    left_at: int
    def __init__(self, position: _Optional[int] = ..., weight: _Optional[int] = ..., entered_at: _Optional[int] = ..., left_at: _Optional[int] = ...) -> None: ...

class RolloutSummary(_message.Message):
    __slots__ = ("environment", "id", "champion", "candidate", "state", "created_at", "ended_at", "reason", "steps")
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    CHAMPION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    environment: str
    id: str
    champion: str
    candidate: str
    state: str
    created_at: int
    ended_at: int
    reason: str
    steps: _containers.RepeatedCompositeFieldContainer[RolloutStep]
    def __init__(self, environment: _Optional[str] = ..., id: _Optional[str] = ..., champion: _Optional[str] = ..., candidate: _Optional[str] = ..., state: _Optional[str] = ..., created_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., reason: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[RolloutStep, _Mapping]]] = ...) -> None: ...

class NodeUse(_message.Message):
    __slots__ = ("node", "rows", "installed")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    INSTALLED_FIELD_NUMBER: _ClassVar[int]
    node: str
    rows: int
    installed: bool
    def __init__(self, node: _Optional[str] = ..., rows: _Optional[int] = ..., installed: bool = ...) -> None: ...

class GetLineageRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("model", "version", "aliases", "tags", "dataset", "run_json", "runs", "packages", "placements", "rollouts", "nodes")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    RUN_JSON_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.ScalarMap[str, str]
    dataset: DatasetUse
    run_json: str
    runs: _containers.RepeatedCompositeFieldContainer[RunSummary]
    packages: _containers.RepeatedCompositeFieldContainer[PackageSummary]
    placements: _containers.RepeatedCompositeFieldContainer[Placement]
    rollouts: _containers.RepeatedCompositeFieldContainer[RolloutSummary]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeUse]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Mapping[str, str]] = ..., dataset: _Optional[_Union[DatasetUse, _Mapping]] = ..., run_json: _Optional[str] = ..., runs: _Optional[_Iterable[_Union[RunSummary, _Mapping]]] = ..., packages: _Optional[_Iterable[_Union[PackageSummary, _Mapping]]] = ..., placements: _Optional[_Iterable[_Union[Placement, _Mapping]]] = ..., rollouts: _Optional[_Iterable[_Union[RolloutSummary, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeUse, _Mapping]]] = ...) -> None: ...

class CompareVersionsRequest(_message.Message):
    __slots__ = ("name", "left", "right")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    left: str
    right: str
    def __init__(self, name: _Optional[str] = ..., left: _Optional[str] = ..., right: _Optional[str] = ...) -> None: ...

class ComparedPackage(_message.Message):
    __slots__ = ("version", "digest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    version: str
    digest: str
    def __init__(self, version: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class MetricChange(_message.Message):
    __slots__ = ("left", "right", "difference")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    left: float
    right: float
    difference: float
    def __init__(self, left: _Optional[float] = ..., right: _Optional[float] = ..., difference: _Optional[float] = ...) -> None: ...

class SettingChange(_message.Message):
    __slots__ = ("path", "left_json", "right_json")
    PATH_FIELD_NUMBER: _ClassVar[int]
    LEFT_JSON_FIELD_NUMBER: _ClassVar[int]
    RIGHT_JSON_FIELD_NUMBER: _ClassVar[int]
    path: str
    left_json: str
    right_json: str
    def __init__(self, path: _Optional[str] = ..., left_json: _Optional[str] = ..., right_json: _Optional[str] = ...) -> None: ...

class FieldStatistics(_message.Message):
    __slots__ = ("rows", "missing", "categories", "mean", "standard_deviation", "minimum", "maximum")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STANDARD_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    rows: int
    missing: float
    categories: int
    mean: float
    standard_deviation: float
    minimum: float
    maximum: float
    def __init__(self, rows: _Optional[int] = ..., missing: _Optional[float] = ..., categories: _Optional[int] = ..., mean: _Optional[float] = ..., standard_deviation: _Optional[float] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("field", "left", "right", "shift")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    field: str
    left: FieldStatistics
    right: FieldStatistics
    shift: float
    def __init__(self, field: _Optional[str] = ..., left: _Optional[_Union[FieldStatistics, _Mapping]] = ..., right: _Optional[_Union[FieldStatistics, _Mapping]] = ..., shift: _Optional[float] = ...) -> None: ...

class VersionComparison(_message.Message):
    __slots__ = ("model", "format", "left", "right", "metrics", "rules", "reference", "manifest")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: MetricChange
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MetricChange, _Mapping]] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    model: str
    format: str
    left: ComparedPackage
    right: ComparedPackage
    metrics: _containers.MessageMap[str, MetricChange]
    rules: _containers.RepeatedCompositeFieldContainer[SettingChange]
    reference: _containers.RepeatedCompositeFieldContainer[FieldChange]
    manifest: _containers.RepeatedCompositeFieldContainer[SettingChange]
    def __init__(self, model: _Optional[str] = ..., format: _Optional[str] = ..., left: _Optional[_Union[ComparedPackage, _Mapping]] = ..., right: _Optional[_Union[ComparedPackage, _Mapping]] = ..., metrics: _Optional[_Mapping[str, MetricChange]] = ..., rules: _Optional[_Iterable[_Union[SettingChange, _Mapping]]] = ..., reference: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ..., manifest: _Optional[_Iterable[_Union[SettingChange, _Mapping]]] = ...) -> None: ...

class GetStateAtRequest(_message.Message):
    __slots__ = ("when", "model", "environment")
    WHEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    when: str
    model: str
    environment: str
    def __init__(self, when: _Optional[str] = ..., model: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class CountedRows(_message.Message):
    __slots__ = ("environment", "version", "shadow", "rows", "nodes", "node")
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    environment: str
    version: str
    shadow: bool
    rows: int
    nodes: int
    node: str
    def __init__(self, environment: _Optional[str] = ..., version: _Optional[str] = ..., shadow: bool = ..., rows: _Optional[int] = ..., nodes: _Optional[int] = ..., node: _Optional[str] = ...) -> None: ...

class ModelState(_message.Message):
    __slots__ = ("model", "placements", "rollouts", "counted")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    model: str
    placements: _containers.RepeatedCompositeFieldContainer[Placement]
    rollouts: _containers.RepeatedCompositeFieldContainer[RolloutSummary]
    counted: _containers.RepeatedCompositeFieldContainer[CountedRows]
    def __init__(self, model: _Optional[str] = ..., placements: _Optional[_Iterable[_Union[Placement, _Mapping]]] = ..., rollouts: _Optional[_Iterable[_Union[RolloutSummary, _Mapping]]] = ..., counted: _Optional[_Iterable[_Union[CountedRows, _Mapping]]] = ...) -> None: ...

class GetStateAtResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelState]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelState, _Mapping]]] = ...) -> None: ...

class ListPlacementsRequest(_message.Message):
    __slots__ = ("model", "environment")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    model: str
    environment: str
    def __init__(self, model: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class ListPlacementsResponse(_message.Message):
    __slots__ = ("placements",)
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    placements: _containers.RepeatedCompositeFieldContainer[Placement]
    def __init__(self, placements: _Optional[_Iterable[_Union[Placement, _Mapping]]] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("name", "nodes", "models", "exempt_tiers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    EXEMPT_TIERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    nodes: int
    models: int
    exempt_tiers: TierList
    def __init__(self, name: _Optional[str] = ..., nodes: _Optional[int] = ..., models: _Optional[int] = ..., exempt_tiers: _Optional[_Union[TierList, _Mapping]] = ...) -> None: ...

class TierList(_message.Message):
    __slots__ = ("tiers",)
    TIERS_FIELD_NUMBER: _ClassVar[int]
    tiers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tiers: _Optional[_Iterable[str]] = ...) -> None: ...

class ListEnvironmentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEnvironmentsResponse(_message.Message):
    __slots__ = ("environments",)
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    environments: _containers.RepeatedCompositeFieldContainer[Environment]
    def __init__(self, environments: _Optional[_Iterable[_Union[Environment, _Mapping]]] = ...) -> None: ...

class RunPackage(_message.Message):
    __slots__ = ("name", "version", "format", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    format: str
    digest: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., format: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class RecordRunRequest(_message.Message):
    __slots__ = ("id", "pipeline", "trigger", "state", "started_at", "ended_at", "parameters_json", "code_version", "code_clean", "environment", "steps_json", "metrics", "datasets_json", "packages", "error", "log")
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_JSON_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CODE_CLEAN_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    STEPS_JSON_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    DATASETS_JSON_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    id: str
    pipeline: str
    trigger: str
    state: str
    started_at: int
    ended_at: int
    parameters_json: str
    code_version: str
    code_clean: bool
    environment: _containers.ScalarMap[str, str]
    steps_json: _containers.RepeatedScalarFieldContainer[str]
    metrics: _containers.ScalarMap[str, float]
    datasets_json: _containers.RepeatedScalarFieldContainer[str]
    packages: _containers.RepeatedCompositeFieldContainer[RunPackage]
    error: str
    log: str
    def __init__(self, id: _Optional[str] = ..., pipeline: _Optional[str] = ..., trigger: _Optional[str] = ..., state: _Optional[str] = ..., started_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., parameters_json: _Optional[str] = ..., code_version: _Optional[str] = ..., code_clean: bool = ..., environment: _Optional[_Mapping[str, str]] = ..., steps_json: _Optional[_Iterable[str]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., datasets_json: _Optional[_Iterable[str]] = ..., packages: _Optional[_Iterable[_Union[RunPackage, _Mapping]]] = ..., error: _Optional[str] = ..., log: _Optional[str] = ...) -> None: ...

class RecordRunResponse(_message.Message):
    __slots__ = ("id", "created")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: bool
    def __init__(self, id: _Optional[str] = ..., created: bool = ...) -> None: ...
