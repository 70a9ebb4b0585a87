"""Looks at a node's data folder from outside: what is damaged, and what to do about it.

Nothing is written, and nothing is needed of the node's process, which may run or not.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gnomon.edge.audit_watch import decode_watch_state
from gnomon.edge.sync_state import SyncState
from gnomon.edge.telemetry.frames import scan_frames
from gnomon.edge.trust_state import decode_state
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.enrolment.identity import IdentityFolder
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.state_file import StateFile

__all__ = ["FolderFinding", "find_damage", "find_reported", "holder_of"]

#: Less free space than this is a full disk: an installation or a segment does not fit.
_FREE_BYTES = 4 << 20

_REMEDIES = {
    "refused": "mend the package and publish a new version, or retire it at the hub; the agent "
    "tries it again with the next change of its desired state",
    "certificate": "start the agent once with a token made for its name: `gnomon hub token --name "
    "NAME` at the hub",
    "enrolment": "if the hub cannot be reached, the agent tries again by itself; if it refuses the "
    "enrolment, start the agent with another token: `gnomon hub token` at the hub",
    "stalled": "restart the agent, and send its log to who maintains it",
    "error": "the agent tries again by itself; if it lasts, check the hub's address, the network "
    "and the certificate",
    "audit_chain": "ask who runs the hub whether it was restored; if not, compare it with several "
    "nodes: `gnomon hub audit verify --against FILE` takes the file audit.json of each",
    "warning": "see `gnomon agent status`; docs/agent.md says what each means",
}


class FolderFinding(NamedTuple):
    """Something that is wrong: where, what it is, and what to do."""

    where: str
    problem: str
    remedy: str


def holder_of(folder: Path) -> int | None:
    """Return the process that uses a data folder; None if none does; 0 if it is not known which."""
    try:
        status = (folder / "lock").stat()
    except OSError:
        return None
    identity = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    held = [line.split() for line in locks if identity in line.split()]
    pids = [int(words[words.index(identity) - 1]) for words in held]
    return max(*pids, 0) if pids else None


def find_damage(folder: Path) -> list[FolderFinding]:
    """Return what is wrong with the files of a data folder."""
    if not folder.is_dir():
        remedy = "give the data folder of the agent (--data-folder), or start it once"
        return [FolderFinding(str(folder), "there is no such folder", remedy)]
    try:
        return [*_look_at_disk(folder), *_look_at_state(folder), *_look_at_files(folder)]
    except PermissionError as error:
        remedy = "call this as the user of the agent, or as root"
        return [FolderFinding(str(folder), f"it cannot be read: {error}", remedy)]


def find_reported(folder: Path, status: Mapping[str, Any]) -> list[FolderFinding]:
    """Return what the status of a node says is wrong.

    Args:
        folder: the data folder.
        status: as `read_status_file` returns it.
    """
    found = [
        FolderFinding(name, f"it was not put into service: {reason}", _REMEDIES["refused"])
        for name, reason in dict(status.get("refused") or {}).items()
    ]
    if (reason := status.get("reason")) and not found:
        found.append(FolderFinding("installation", str(reason), _REMEDIES["refused"]))
    if stalled := status.get("stalled"):
        found.append(
            FolderFinding("process", f"threads stopped to work: {stalled}", _REMEDIES["stalled"])
        )
    if error := status.get("last_error"):
        is_new = status.get("spool") is not None and not status.get("is_enrolled")
        remedy = _REMEDIES["enrolment" if is_new else "error"]
        found.append(FolderFinding("hub", str(error), remedy))
    audit = "; ".join((status.get("trust") or {}).get("audit_findings") or ())
    for one in map(str, status["warnings"]):
        remedy = _REMEDIES["audit_chain" if one == audit else "warning"]
        found.append(FolderFinding(str(folder), one, remedy))
    return found


def _look_at_disk(folder: Path) -> Iterator[FolderFinding]:
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        yield FolderFinding(
            str(folder),
            "the disk is read-only",
            "mount it for writing; until then telemetry is in memory only and nothing is installed",
        )
    elif disk.f_bavail * disk.f_frsize < _FREE_BYTES or (disk.f_files and not disk.f_favail):
        yield FolderFinding(
            str(folder),
            f"the disk is full ({disk.f_bavail * disk.f_frsize} bytes left)",
            "free some space; the agent writes what is in memory as soon as it can",
        )
    if folder.stat().st_mode & 0o077:
        yield FolderFinding(
            str(folder), "other users may read it or enter it", f"chmod -R go-rwx {folder}"
        )


def _look_at_state(folder: Path) -> Iterator[FolderFinding]:
    files: tuple[tuple[str, Any, str], ...] = (
        ("sync.json", SyncState.decode, "the agent installs again what the hub wants"),
        ("metadata.json", decode_state, "the hub sends it again with the next call"),
        (
            "audit.json",
            decode_watch_state,
            "the hub sends its head with the next call",
        ),
        ("trust.json", msgspec.json.decode, "the hub sends the keys with the next renewal"),
    )
    for name, decode, remedy in files:
        file: StateFile[Any] = StateFile(folder / name, decode)
        is_sound = file.read() is not None
        if file.damage:
            known = "nothing: the previous copy is used" if is_sound else f"nothing: {remedy}"
            yield FolderFinding(str(folder / name), file.damage, known)
    identity = IdentityFolder(folder / "identity")
    enrolled = identity.load()
    _REMEDIES["certificate"] = (
        "start the agent once with a token made for its name: gnomon hub token --name NAME"
    )
    if identity.damage:
        remedy = (
            _REMEDIES["certificate"] if enrolled is None else "nothing: the previous copy is used"
        )
        yield FolderFinding(str(identity.folder / "identity.json"), identity.damage, remedy)
    keys = [identity.folder / "key.pem", identity.folder / "key.pem.old"]
    if enrolled is not None and not any(map(_is_key, keys)):
        yield FolderFinding(
            str(keys[0]), "the private key is missing or damaged", _REMEDIES["certificate"]
        )


def _is_key(path: Path) -> bool:
    try:
        load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return False
    return True


def _look_at_files(folder: Path) -> Iterator[FolderFinding]:
    for path in sorted((folder / "slots" / "packages").glob("[0-9a-f]*")):
        try:
            digest = Package.open(path, None).digest
        except UntrustedPackage:
            continue  # a format that is opened only with its signature
        except (PackageError, OSError, *UNDECODABLE) as error:
            yield _damaged_package(path, str(error))
        else:
            if digest != path.name:
                yield _damaged_package(path, f"it holds package {digest[:16]}")
    for path in sorted((folder / "spool").glob("**/*.segment")):
        found = scan_frames(path.read_bytes())
        if found.damaged:
            yield FolderFinding(
                str(path),
                f"{found.damaged} damaged places; the records there are lost",
                "nothing: the others are sent; check the disk if this comes again",
            )


def _damaged_package(path: Path, problem: str) -> FolderFinding:
    remedy = "nothing: the agent fetches it again from the hub, with its next start at the latest"
    return FolderFinding(str(path), f"an installed package is damaged: {problem}", remedy)
