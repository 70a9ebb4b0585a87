"""Content that no package names is deleted after its time of grace, and nothing else ever is."""

import itertools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gnomon.command.root import run
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions import sweeping
from gnomon.server.hub.versions.sweeping import Sweeper

DATA = b"a chunk of a push that was never finished"
DIGEST = sha256(DATA)


def before() -> int:
    return now_ms() - DAY_MS


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Blobs:
    url = request.getfixturevalue("s3_url") if request.param == "s3" else ""
    return Blobs.at(database, url, tmp_path / "blobs")


def make_old(database: Database, *digests: str) -> None:
    with database.write() as connection:
        chosen = schema.blob.c.digest.in_(digests) if digests else True
        connection.execute(
            update(schema.blob).where(chosen).values(stored_at=now_ms() - 2 * DAY_MS)
        )


@pytest.mark.both_databases
def test_only_old_content_that_no_package_names_is_deleted(
    database: Database, blobs: Blobs
) -> None:
    contents = [str(number).encode() for number in range(140)]
    digests = [sha256(data) for data in contents]
    blobs.put(zip(digests, contents, strict=True))
    named, fresh, *old = digests
    with database.write() as connection:
        manifest = {"files": [{"chunks": [named]}]}
        row = {"digest": named, "manifest": manifest, "envelopes": [], "profile": b""}
        row |= dict.fromkeys(("name", "version", "format", "publisher"), "x")
        connection.execute(schema.version.insert().values(**row, published_at=1))
    make_old(database, named, *old)
    found = sweeping.find(database, blobs, before())
    assert (set(found.digests), found.bytes) == ({*old}, sum(map(len, contents[2:])))
    assert blobs.listed().keys() == {*digests}  # only looked at
    assert sweeping.sweep(database, blobs, before()).digests == found.digests
    assert blobs.listed().keys() == {named, fresh}
    with database.read() as connection:
        assert {*connection.scalars(select(schema.blob.c.digest))} == {named, fresh}
    assert sweeping.find(database, blobs, before()).digests == ()


def test_content_of_an_upload_that_was_cut_off_counts_from_when_it_was_written(
    database: Database, tmp_path: Path
) -> None:
    blobs = Blobs.in_folder(database, tmp_path / "blobs")
    cut_off = [tmp_path / "blobs" / name[:2] / name for name in ("ab" * 32, "cd" * 32)]
    for path in cut_off:
        path.parent.mkdir()
        path.write_bytes(b"half")
    os.utime(cut_off[0], (0, 0))
    assert sweeping.sweep(database, blobs, before()).digests == ("ab" * 32,)
    assert [path.exists() for path in cut_off] == [False, True]


def test_what_a_builder_was_told_that_the_hub_has_is_kept(database: Database, blobs: Blobs) -> None:
    blobs.put([(DIGEST, DATA)])
    make_old(database)
    assert blobs.missing([DIGEST]) == []
    assert sweeping.sweep(database, blobs, before()).digests == ()
    make_old(database)
    blobs.put([(DIGEST, DATA)])  # sent again
    assert sweeping.sweep(database, blobs, before()).digests == ()


class Uploading(Blobs):
    """Calls back before and after content is written, and before its row is."""

    moments: dict[str, list[Callable[[], object]]]

    def _at(self, moment: str) -> None:
        for callback in self.moments.pop(moment, []):
            callback()

    def _write(self, contents: Mapping[str, bytes]) -> None:
        self._at("before content")
        super()._write(contents)
        self._at("before sync")

    def _sync(self, digests: Collection[str]) -> list[str]:
        lost = super()._sync(digests)
        self._at("before row")
        return lost


MOMENTS = ("before upload", "before content", "before sync", "before row", "after upload")


@pytest.mark.parametrize("known", [True, False], ids=["with a row", "cut off"])
@pytest.mark.parametrize(
    ("rows", "content"), [*itertools.combinations_with_replacement(MOMENTS, 2)]
)
def test_no_upload_is_lost_at_whatever_moments_a_sweep_deletes_rows_and_content(
    database: Database, tmp_path: Path, known: bool, rows: str, content: str
) -> None:
    """A row without content would make every further push of this chunk a broken package."""
    blobs = Uploading.in_folder(database, tmp_path / "blobs")
    assert isinstance(blobs, Uploading)
    blobs.moments = {}
    blobs.put([(DIGEST, DATA)])
    make_old(database)
    os.utime(tmp_path / "blobs" / DIGEST[:2] / DIGEST, (0, 0))
    if not known:
        with database.write() as connection:
            connection.execute(schema.blob.delete())
    forgotten: list[str] = []
    candidates = sweeping.find(database, blobs, before()).digests
    assert candidates == (DIGEST,)

    def forget() -> None:
        forgotten.extend(sweeping._forget(database, candidates, before()))

    def delete() -> None:
        blobs.delete(forgotten)

    blobs.moments.setdefault(rows, []).append(forget)
    blobs.moments.setdefault(content, []).append(delete)
    blobs._at("before upload")
    blobs.put([(DIGEST, DATA)])
    blobs._at("after upload")
    assert not blobs.moments
    assert blobs.missing([DIGEST]) == []
    assert blobs.get(DIGEST) == DATA


def test_an_upload_after_a_sweep_that_was_killed_is_complete(
    database: Database, tmp_path: Path
) -> None:
    """Its content may be gone, and the counter says so: nobody relies on what was there."""
    blobs = Uploading.in_folder(database, tmp_path / "blobs")
    assert isinstance(blobs, Uploading)
    blobs.moments = {}
    blobs.put([(DIGEST, DATA)])
    make_old(database)
    sweeping._forget(database, (DIGEST,), before())
    path = tmp_path / "blobs" / DIGEST[:2] / DIGEST
    blobs.moments = {"before row": [path.unlink]}
    blobs.put([(DIGEST, DATA)])
    assert blobs.get(DIGEST) == DATA


def test_a_package_is_published_while_sweeps_run(
    hub: Hub, builder: Any, make: Callable[..., Package]
) -> None:
    package, services = make(), hub.services
    first, *_ = package.iter_blobs()
    builder.put(first)
    make_old(services.database)
    builder.publish(package)
    make_old(services.database)
    assert sweeping.sweep(services.database, services.blobs, before()).digests == ()
    assert [services.blobs.get(digest) for digest, _ in package.iter_blobs()]


def test_the_hub_sweeps_by_itself_unless_it_keeps_for_ever(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "EVERY_SECONDS", 0.0)
    blobs = Blobs.in_folder(database, tmp_path / "blobs")
    blobs.put([(DIGEST, DATA)])
    make_old(database)
    Sweeper(blobs, 0).run_once(database)
    assert blobs.listed()
    Sweeper(blobs, 1).run_once(database)
    assert not blobs.listed()


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_the_command_sweeps_or_says_what_it_would(
    settings: HubSettings, capsys: pytest.CaptureFixture[str], options: Sequence[str]
) -> None:
    database = Database.in_folder(settings.data_folder)
    Blobs.in_folder(database, settings.data_folder / "blobs").put([(DIGEST, DATA)])
    make_old(database)
    line = ["hub", "sweep", *options, "--data-folder", str(settings.data_folder)]
    assert run([*line, "--keep-unnamed-blob-days", "0"]) == 2
    assert run([*line, "--keep-unnamed-blob-days", "1"]) == 0
    said = capsys.readouterr().out
    assert ("would delete 1 blobs" in said) if options else ("deleted 1 blobs" in said)
    assert bool(Blobs.in_folder(database, settings.data_folder / "blobs").listed()) == bool(options)
    database.close()
