"""`gnomon registry archive` and `replay`: archive a version, and repeat its predictions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import client_options, connect
from gnomon.command.shared.output import emit, printable, show, styled, table
from gnomon.command.shared.package_options import FILE, FOLDER, parse_keys, signing_key_option
from gnomon.command.shared.references import resolve_reference, split_reference
from gnomon.command.shared.settings_options import load_settings, settings_command
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.packages.signing import Signer, TrustStore

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient
    from gnomon.delivery.replay.replaying import ReplayReport


@dataclass(frozen=True)
class _PackageSources:
    """The packages of a version, the keys to believe them by, and wheels that came with them."""

    packages: Sequence[Path]
    keys: Sequence[PackageKey]
    wheels: Path | None = None


@click.command(cls=settings_command("builder"))
@click.argument("reference", metavar="NAME@VERSION")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--wheelhouse", type=FOLDER, help="Keep wheels of the pinned libraries.")
@client_options
@click.pass_obj
def archive(
    config_file: str | None,
    /,
    reference: str,
    folder: Path,
    wheelhouse: Path | None,
    url: str,
    api_key: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Archive all that a later replay of NAME@VERSION needs in FOLDER, which must be new.

    Packages with attestations, lineage, runs, audit records and, with --wheelhouse, the libraries.
    """
    from gnomon.client.registry import RegistryClient
    from gnomon.delivery.replay.archive import make_archive

    with (
        connect(url, api_key) as client,
        RegistryClient(load_settings("builder", config_file, flags)) as registry,
    ):
        name, version = resolve_reference(client, reference)
        made = make_archive(client, registry, name, version, folder, wheelhouse)
    payload = {"archive": str(folder), "formats": list(made.formats), "files": made.files}
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(
            styled(f"{name}@{version}", "bold"), f" → {folder}, {len(made.files)} files"
        ),
    )


@click.command(cls=settings_command("builder"))
@click.argument("reference", metavar="NAME@VERSION")
@click.option("--archive", "archived", type=FOLDER, help="From this archive alone, without a hub.")
@click.option("--format", "wanted", help="Only the package of this format.")
@click.option("--requests", type=FILE, help="Rows that were kept: JSON lines of row and outputs.")
@click.option("--wheelhouse", type=FOLDER, help="Install from here, and use no index.")
@click.option("--here", is_flag=True, help="Use the libraries that are installed here.")
@click.option("--trust", "trusted", multiple=True, help="Trusted public key, hex or a file.")
@signing_key_option
@client_options
@click.pass_obj
def replay(
    config_file: str | None,
    /,
    reference: str,
    archived: Path | None,
    wanted: str | None,
    requests: Path | None,
    wheelhouse: Path | None,
    here: bool,
    trusted: tuple[str, ...],
    key_file: Path | None,
    url: str,
    api_key: str | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Repeat recorded predictions with NAME@VERSION, in the environment it was built with.

    Its golden samples, and requests that were kept, are compared digit for digit. Exit code 1 if a
    digit differs or the environment cannot be rebuilt; the output says which. With --key the
    outcome is attested, in the archive.
    """
    from gnomon.delivery.replay.replaying import attest_replay, read_requests
    from gnomon.delivery.replay.replaying import replay as play

    signer = Signer.load(key_file) if key_file else None
    if signer is not None and archived is None:
        raise ConfigurationError("--key needs --archive: the attestation joins the package there")
    kept = read_requests(requests) if requests else []
    builder = None if archived else load_settings("builder", config_file, flags)
    done = []
    with _find(archived, builder, connect(url, api_key), reference, wanted) as found:
        keys = [PackageKey(key) for key in parse_keys(trusted)] or found.keys
        for path in found.packages:
            replayed = play(
                path,
                TrustStore(keys),
                keys,
                requests=kept,
                wheelhouse=wheelhouse or found.wheels,
                here=here,
                tell=lambda line: click.echo(printable(line), err=True),
            )
            done.append(replayed)
            if signer is not None:
                attest_replay(replayed, path, signer)
    payload = [one.to_dict() for one in done]
    emit(payload, as_json=as_json, render=lambda: _render(done))
    return 0 if all(one.passed for one in done) else 1


@contextmanager
def _find(
    archived: Path | None, builder: Any, client: "HubClient", reference: str, wanted: str | None
) -> Iterator[_PackageSources]:
    """Give the packages of a version, out of an archive or, for the time being, out of the hub."""
    from gnomon.client.registry import RegistryClient, find_published
    from gnomon.delivery.replay.archive import (
        builders_keys,
        keys_of,
        open_archive,
        package_folder,
        wheels_folder,
    )

    if archived is not None:
        name, version = split_reference(reference)
        index = open_archive(archived)
        if (index.name, index.version) != (name, version):
            raise ConfigurationError(f"{archived} holds {index.name}@{index.version}")
        formats = [one for one in index.formats if wanted in (None, one)]
        packages = [package_folder(archived, one) for one in formats]
        yield _PackageSources(packages, keys_of(archived), wheels_folder(archived))
        return
    with TemporaryDirectory(prefix="gnomon-pulled-") as folder, client:
        name, version = resolve_reference(client, reference)
        listed = client.get(f"models/{name}/versions/{version}")["packages"]
        keys = builders_keys(client.get("keys"))
        with RegistryClient(builder) as registry:
            pulled = [
                registry.pull(find_published(listed, version, one), Path(folder) / one).path
                for one in (o["format"] for o in listed)
                if wanted in (None, one)
            ]
        yield _PackageSources(pulled, keys)


def _render(done: "Sequence[ReplayReport]") -> None:
    for one in done:
        rows = [
            [part.what, part.rows, part.exact, part.within_tolerance, part.agreement, part.first]
            for part in one.parts
        ]
        columns = ["what", "rows", "exact", "within tolerance", "", "first that differs"]
        show(table(f"Replay of {one.package} ({one.format})", columns, rows))
        for part in one.not_reproduced:
            show(styled("not reproduced: ", "yellow"), part)
        colour = "green" if one.passed else "red"
        show(styled(one.agreement, colour), f" {one.digest}")
