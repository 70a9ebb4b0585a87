"""Write a bill of materials (CycloneDX 1.6, JSON) of the environment that runs this: Gnomon in it.

    python deploy/sbom.py OUT [LOCK]

It needs no library, so that the build of an image can run it. Components are Gnomon and all that it
needs, as installed here; hashes are those of LOCK, a file of `make lock`, for the same versions.
"""

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = "gnomon"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def canonical(name: str) -> str:
    """Return a distribution's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_needs(one: Distribution) -> list[str]:
    """Return what a distribution may need and is installed."""
    names = {canonical(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in one.requires or ()}
    return sorted(name for name in names - {ROOT} if _find(name))


def components() -> dict[str, Distribution]:
    """Return Gnomon and all that it needs, as installed here, by name."""
    found: dict[str, Distribution] = {}
    waiting = [ROOT]
    while waiting:
        name = waiting.pop()
        if name not in found and (one := _find(name)):
            found[name] = one
            waiting += installed_needs(one)
    return dict(sorted(found.items()))


def locked_hashes(lock: Path) -> dict[tuple[str, str], list[str]]:
    """Return the SHA-256 of the files of each pinned version."""
    found: dict[tuple[str, str], list[str]] = {}
    key = ("", "")
    for line in lock.read_text(encoding="utf-8").splitlines():
        if pin := _PIN.match(line):
            key = (canonical(pin[1]), pin[2])
        found.setdefault(key, []).extend(_HASH.findall(line))
    return found


def bill(hashes: Mapping[tuple[str, str], list[str]]) -> dict[str, Any]:
    """Return the document; the same environment gives the same."""
    found = components()
    described = {name: _component(name, one, hashes) for name, one in found.items()}
    root = described.pop(ROOT)
    content = json.dumps([root, described], sort_keys=True).encode()
    serial = uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": root | {"type": "application"}},
        "components": list(described.values()),
        "dependencies": [
            {"ref": _reference(name, one), "dependsOn": [_reference(n, found[n]) for n in needs]}
            for name, one in found.items()
            for needs in [installed_needs(one)]
        ],
    }


def _component(
    name: str, one: Distribution, hashes: Mapping[tuple[str, str], list[str]]
) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(name, one),
        "name": name,
        "version": one.version,
        "purl": _reference(name, one),
    }
    licence = one.metadata.get("License-Expression")
    if licence:
        component["licenses"] = [{"expression": licence}]
    if known := hashes.get((name, one.version)):
        # One for each file of the release; which of them is here depends on the machine.
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": _reference(name, one),
                "hashes": [{"alg": "SHA-256", "content": value}],
            }
            for value in known
        ]
    return component


def _reference(name: str, one: Distribution) -> str:
    return f"pkg:pypi/{name}@{one.version}"


def _find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def main(out: str, lock: str = "") -> None:
    """Write the bill."""
    document = bill(locked_hashes(Path(lock)) if lock else {})
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(
        f"{out}: gnomon {document['metadata']['component']['version']} and "
        f"{len(document['components'])} packages"
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
