"""The manifest: all that is known of a package, in one JSON document whose digest names it.

Records are frozen and decoded strictly: an unknown key or a wrong type is refused with its path, so
that an older node never half-understands a newer package.
"""

import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gnomon.runtime.errors import PackageError

#: Names end up in paths, URLs and messages, so they are plain.
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$"

#: Content is moved in pieces of this many bytes, each known by its SHA-256.
CHUNK_BYTES = 256 * 1024


#: The newest form of a manifest that this program reads.
MANIFEST_FORMAT = 1

#: The smallest and largest value of each number. A value beyond them is a mistake or an attack:
#: what it would cost is paid by the process that loads the package.
BOUNDS = {
    "memory_mib": (0, 1 << 43),
    "window_seconds": (1, 366 * 86_400),
    "sample_permille": (0, 1_000),
    "transcript_permille": (0, 1_000),
    "warm_up_runs": (0, 100),
    "instances": (1, 64),
    "gnomon": (1, MANIFEST_FORMAT),
}
_DIMENSION = (-1, (1 << 31) - 1)
_RANK = 8
_VERSION_CHARACTERS = 64


def _check_bounds(record: msgspec.Struct) -> None:
    """Refuse a number of a record beyond its bounds; raises `ValueError` with both."""
    for name in BOUNDS.keys() & set(record.__struct_fields__):
        value = getattr(record, name)
        low, high = BOUNDS[name]
        if value is not UNSET and not low <= value <= high:
            raise ValueError(f"{name} should be {low} to {high}, got {value}")


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the manifest's records."""


class TensorSpec(_Record, frozen=True, kw_only=True):
    """One tensor that clients see: Open Inference Protocol name, datatype and shape (−1: any)."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a shape that no tensor has."""
        low, high = _DIMENSION
        if len(self.shape) > _RANK or not all(low <= one <= high for one in self.shape):
            raise ValueError(f"a shape should be at most {_RANK} numbers from {low} to {high}")


class Signature(_Record, frozen=True, kw_only=True):
    """What a client sends and gets; one input tensor per field, `(N, 1)` or `(N,)`."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class FileEntry(_Record, frozen=True, kw_only=True):
    """One file of the package: relative path, size in bytes, SHA-256 and chunk hashes in hex."""

    path: str
    size: int
    sha256: str
    chunks: tuple[str, ...]


class Dependency(_Record, frozen=True, kw_only=True):
    """A library that the model needs, pinned."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


class Needs(_Record, frozen=True, kw_only=True):
    """What a node must have to run the package."""

    memory_mib: int = 0
    cpu_features: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    runtime_version: str = ""

    def __post_init__(self) -> None:
        """Refuse what no machine has."""
        _check_bounds(self)
        if len(self.runtime_version) > _VERSION_CHARACTERS:
            raise ValueError(
                f"runtime_version should have at most {_VERSION_CHARACTERS} characters"
            )


class Batching(_Record, frozen=True, kw_only=True):
    """How rows of different callers are gathered for one run of the engine.

    At most `max_rows` go together, and none waits for others longer than `max_delay_seconds`.
    """

    max_rows: int = 64
    max_delay_seconds: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what would gather nothing or hold calls up."""
        if not 1 < self.max_rows <= 4_096 or not 0 <= self.max_delay_seconds <= 1:
            raise ValueError(
                f"batching of {self.max_rows} rows within {self.max_delay_seconds} s; expected 2 "
                "to 4096 rows within 0 to 1 s"
            )


class DeclaredFallback(_Record, frozen=True, kw_only=True):
    """What answers if the model fails: by output, an expression over the inputs, or a value.

    One of the two is set.
    """

    rule: dict[str, str] | UnsetType = UNSET
    constant: dict[str, Any] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if (self.rule is UNSET) == (self.constant is UNSET):
            raise ValueError("a fallback should have either a rule or a constant")


class Deployment(_Record, frozen=True, kw_only=True):
    """Settings of the package in service.

    What came after the first release is written only if it is set, so that older packages keep
    their digests.
    """

    window_seconds: int = 86_400
    sample_permille: int = 1_000
    warm_up_runs: int = 3
    batching: Batching | UnsetType = UNSET
    instances: int | UnsetType = UNSET
    #: Behind those of the route, in this order.
    fallback: tuple[DeclaredFallback, ...] | UnsetType = UNSET
    #: Of 1,000 requests, how many may be written down with inputs and outputs.
    transcript_permille: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse numbers beyond their bounds."""
        _check_bounds(self)


class Reproducibility(_Record, frozen=True, kw_only=True):
    """What it takes to build the package again.

    `test_metrics_by_segment` has the metrics of parts of the test rows, by `column=value`; it came
    after the first release.
    """

    code_version: str
    code_clean: bool
    dataset_uri: str
    dataset_fingerprint: str
    split: dict[str, Any]
    parameters: dict[str, Any] = {}
    seed: int = 0
    test_metrics: dict[str, float] = {}
    test_metrics_by_segment: dict[str, dict[str, float]] | UnsetType = UNSET


class CardSections(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a model card says under headings: for whom, for what, limits, price and risks."""

    users: str = ""
    uses: str = ""
    limits: str = ""
    tradeoffs: str = ""
    ethics: str = ""


class Manifest(_Record, frozen=True, kw_only=True):
    """The package `name@version` in one format.

    `packing` says how checked fields become the engine's tensors (`gnomon.core.packing`);
    `output_tensors` names, in order, the engine's tensors behind `signature.outputs`.
    `card_sections` came after the first release.
    """

    gnomon: int = 1
    name: str
    version: str
    format: str
    model_file: str
    signature: Signature
    packing: dict[str, Any]
    output_tensors: tuple[str, ...]
    files: tuple[FileEntry, ...]
    reproducibility: Reproducibility
    dependencies: tuple[Dependency, ...] = ()
    needs: Needs = Needs()
    deployment: Deployment = Deployment()
    risk_tier: str = "low"
    owner: str = ""
    licence: str = ""
    card: str = ""
    card_sections: CardSections | UnsetType = UNSET

    @property
    def reference(self) -> str:
        """Return `name@version`."""
        return f"{self.name}@{self.version}"

    def __post_init__(self) -> None:
        """Refuse names and versions that do not match their patterns."""
        _check_bounds(self)
        check_reference(self.name, self.version)


def check_reference(name: str, version: str) -> None:
    """Check that a model and a version may be called so.

    Raises:
        ValueError: one of them may not; the message says what may.
    """
    for what, value, pattern, right in (
        ("name", name, NAME_PATTERN, "lower case letters, digits, - and _, a letter first"),
        ("version", version, VERSION_PATTERN, "letters, digits and . _ + -, as in 1.2"),
    ):
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{what} {value[:80]!r} does not match {pattern}: {right}")


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's bytes: the same manifest always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2)


class _Form(msgspec.Struct):
    """The one member that manifests of all forms have."""

    gnomon: int = 1


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        PackageError: if it is not valid; the message has the path of the offending key. Also if a
            newer Gnomon wrote it.
    """
    try:
        form = msgspec.json.decode(data, type=_Form).gnomon
        if form > MANIFEST_FORMAT:
            raise PackageError(
                f"manifest.json has the form {form}, and this Gnomon reads {MANIFEST_FORMAT}: "
                "a newer Gnomon is needed"
            )
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PackageError(f"manifest.json is not valid: {error}") from error
