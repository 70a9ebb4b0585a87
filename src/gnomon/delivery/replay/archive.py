"""An archive: one folder with everything that a replay needs later, without a hub.

archive.json            the index, with the SHA-256 of every other file
packages/FORMAT/        each package of the version, with all attestations
lineage.json            dataset, runs, placements, rollouts and nodes, as the hub knew them
runs.json               the complete records of the runs that made it
audit.json              the audit records of the version, with the hashes of the hub's chain
keys.json               the public keys that the hub trusted
wheels/                 the pinned libraries, if a wheelhouse was given
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from gnomon.client.hub import HubClient
from gnomon.client.registry import RegistryClient, find_published
from gnomon.pipeline.steps.artifacts import folder_digest
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError, Conflict, PackageError
from gnomon.runtime.files import sync_folder
from gnomon.runtime.ids import now_ms
from gnomon.runtime.packages.manifest import Dependency
from gnomon.runtime.packages.package_keys import ALL_MODELS, PackageKey

__all__ = [
    "Archive",
    "builders_keys",
    "collect_wheels",
    "keys_of",
    "last_line",
    "make_archive",
    "open_archive",
    "package_folder",
    "wheels_folder",
    "why_no_requirement",
]

_INDEX = "archive.json"
_PACKAGES = "packages"
_WHEELS = "wheels"
#: Names, versions and hashes as PEP 508, PEP 440 and pip write them.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9A-Za-z]+([.!+_-][0-9A-Za-z]+)*")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_FORMAT = r"[a-z0-9_]{1,32}"
_PAGE = 1_000
PIP_SECONDS = 1_800


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """The index of an archive."""

    name: str
    version: str
    archived_at: int  # Unix milliseconds
    formats: tuple[str, ...]
    files: dict[str, str]
    gnomon: int = 1


def make_archive(
    client: HubClient,
    registry: RegistryClient,
    name: str,
    version: str,
    folder: Path,
    wheelhouse: Path | None,
) -> Archive:
    """Fetch a version and the hub's records of it into a new folder, completely or not at all.

    Args:
        client: of the hub's REST.
        registry: of the hub's gRPC.
        name: the model's name.
        version: the version's name.
        folder: the new archive.
        wheelhouse: folder with the pinned libraries; None: without them.

    Raises:
        Conflict: the folder exists.
        UnknownModel: there is no such version.
        UntrustedPackage: no key that the hub trusts signed it.
        ConfigurationError: the wheelhouse lacks a pinned library.
    """
    if folder.exists():
        raise Conflict(f"{folder} exists; name a folder that does not")
    listed = client.get(f"models/{name}/versions/{version}")["packages"]
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}.new")
    temporary.mkdir(parents=True)
    try:
        packages = [
            registry.pull(
                find_published(listed, version, one["format"]),
                temporary / _PACKAGES / one["format"],
            )
            for one in listed
        ]
        for file, content in _records(client, name, version).items():
            (temporary / f"{file}.json").write_bytes(_json(content))
        if wheelhouse is not None:
            needed = [one for package in packages for one in package.manifest.dependencies]
            if wrong := next(filter(None, map(why_no_requirement, needed)), None):
                raise PackageError(wrong)
            pinned = {f"{one.name}=={one.version}" for one in needed}
            collect_wheels(sorted(pinned), wheelhouse, temporary / _WHEELS)
        archive = Archive(
            name=name,
            version=version,
            archived_at=now_ms(),
            formats=tuple(package.manifest.format for package in packages),
            files=dict(_digests(temporary)),
        )
        (temporary / _INDEX).write_bytes(_json(archive))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(folder.parent)
    return archive


def open_archive(folder: Path) -> Archive:
    """Return the index of an archive, after checking every file against its hash.

    Attestations that joined a package later are no part of it, and do not count.

    Raises:
        PackageError: it is no archive, or a file is missing or altered; the message names it.
    """
    try:
        archive = msgspec.json.decode((folder / _INDEX).read_bytes(), type=Archive)
    except (OSError, *UNDECODABLE) as error:
        raise PackageError(f"{folder} is no archive: {error}") from error
    if unknown := [one for one in archive.formats if not re.fullmatch(_FORMAT, one)]:
        raise PackageError(f"{folder} is no archive: it names the format {unknown[0][:80]!r}")
    found = dict(_digests(folder))
    for path, digest in archive.files.items():
        if found.get(path) != digest:
            what = "is altered" if path in found else "is missing"
            raise PackageError(f"the archive {folder} is damaged: {path} {what}")
    return archive


def package_folder(folder: Path, format: str) -> Path:
    """Return the folder of the package of a format in an archive."""
    return folder / _PACKAGES / format


def wheels_folder(folder: Path) -> Path | None:
    """Return the folder of an archive's wheels, if it has any."""
    wheels = folder / _WHEELS
    return wheels if wheels.is_dir() else None


def collect_wheels(pinned: Sequence[str], wheelhouse: Path, folder: Path) -> None:
    """Copy the wheels of pinned libraries out of a wheelhouse.

    Raises:
        ConfigurationError: one of them is not there; the message is pip's.
    """
    folder.mkdir()
    if not pinned:
        return
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-index"]
    command += ["--find-links", str(wheelhouse), "--dest", str(folder)]
    done = subprocess.run(
        [*command, *pinned],
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError(f"{wheelhouse} lacks a pinned library: {last_line(done.stderr)}")


def why_no_requirement(one: Dependency) -> str | None:
    """Return why a pinned library is not given to pip: a name, version or hash is something else.

    A name with a URL or an option in it would install from anywhere.
    """
    if not _NAME.fullmatch(one.name):
        return f"{one.name[:80]!r} is no name of a distribution (letters, digits, '.', '_', '-')"
    if not _VERSION.fullmatch(one.version):
        return f"{one.name}: {one.version[:80]!r} is no version"
    if wrong := [known for known in one.hashes if not _HASH.fullmatch(known)]:
        return f"{one.name}: {wrong[0][:80]!r} is no hash (sha256: and 64 hexadecimal digits)"
    return None


def last_line(text: str) -> str:
    """Return the last error line of a program's output, or else its last line."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1][:500]


def _records(client: HubClient, name: str, version: str) -> Mapping[str, Any]:
    lineage = client.get(f"models/{name}/versions/{version}/lineage")
    return {
        "lineage": lineage,
        "runs": [client.get(f"runs/{one['id']}") for one in lineage["runs"]],
        "audit": list(_audited(client, f"{name}@{version}")),
        "keys": client.get("keys"),
    }


def _audited(client: HubClient, subject: str) -> Iterator[Mapping[str, Any]]:
    """Yield the audit records of a version, newest first, out of the whole chain."""
    before: dict[str, int] = {}
    while page := client.get("audit", limit=_PAGE, **before):
        yield from (record for record in page if record["subject"] == subject)
        before = {"before": page[-1]["sequence"]}


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name != _INDEX:
            yield path.relative_to(folder).as_posix(), folder_digest(path)


def _json(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2) + b"\n"


def keys_of(folder: Path) -> list[PackageKey]:
    """Return the builders' keys that the hub trusted when an archive was made."""
    return builders_keys(msgspec.json.decode((folder / "keys.json").read_bytes()))


def builders_keys(listed: Sequence[Mapping[str, Any]]) -> list[PackageKey]:
    """Return the builders' keys from a hub's list; approvers' keys do not sign packages."""
    return [
        PackageKey(bytes.fromhex(one["key"]), one.get("models", ALL_MODELS))
        for one in listed
        if one["revoked_at"] is None and one.get("role", "builder") == "builder"
    ]
