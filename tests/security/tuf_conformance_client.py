#!/usr/bin/env python
"""The metadata updater behind the command line that the suite `tuf-conformance` calls.

pytest tuf_conformance --entrypoint tests/security/tuf_conformance_client.py
"""

import argparse
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from gnomon.runtime.errors import GnomonError, HubError, UntrustedMetadata
from gnomon.runtime.trust.updater import LIMITS, Updater

SECONDS = 10


def read(url: str, limit: int) -> bytes | None:
    """Return at most one byte more than the limit; None if the server has no such file."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            return response.read(limit + 1)
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):
            return None
        raise HubError(f"{url}: {error}") from error
    except OSError as error:
        raise HubError(f"{url}: {error}") from error


class Client:
    """One call's updater over the suite's server and folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url.rstrip("/")
        known = {path.name.removesuffix(".json"): path.read_bytes() for path in folder.iterdir()}
        self.updater = Updater(known, datetime.now(UTC))

    def fetch(self, role: str, version: int | None) -> bytes | None:
        name = quote(role, "") + ".json"
        limit = LIMITS.get(role, LIMITS["targets"])
        return read(f"{self.url}/{name if version is None else f'{version}.{name}'}", limit)

    def run(self, targets: list[str], base: str, out: Path) -> None:
        try:
            self.updater.refresh(self.fetch)
            for name in targets:
                self.download(name, base, out)
        finally:
            for role, data in self.updater.known.items():
                if not role.endswith(".root"):
                    (self.folder / (quote(role, "") + ".json")).write_bytes(data)

    def download(self, name: str, base: str, out: Path) -> None:
        target = self.updater.find_target(name, self.fetch)
        if target is None:
            raise UntrustedMetadata(f"there is no target {name}")
        path = out / quote(name, "")
        if path.exists() and _fits(target, path.read_bytes()):
            return
        folder, _, file = name.rpartition("/")
        if self.updater.root.consistent_snapshot:
            file = f"{next(iter(target.hashes.values()))}.{file}"
        data = read(f"{base.rstrip('/')}/{folder + '/' if folder else ''}{file}", target.length)
        if data is None or not _fits(target, data):
            raise UntrustedMetadata(f"the content of {name} is not what its target says")
        path.write_bytes(data)


def _fits(target: object, data: bytes) -> bool:
    try:
        target.verify_length_and_hashes(data)  # type: ignore[attr-defined]
    except Exception:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-dir", required=True, type=Path)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path, default=Path())
    parser.add_argument("--target-base-url", default="")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    given = parser.parse_args()
    if given.command == "init":
        (given.metadata_dir / "root.json").write_bytes(given.trusted_root.read_bytes())
        return 0
    try:
        client = Client(given.metadata_dir, given.metadata_url)
        client.run(given.target_name, given.target_base_url, given.target_dir)
    except GnomonError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
