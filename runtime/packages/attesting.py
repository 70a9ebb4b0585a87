"""Statements about a package that join it after it was built; its digest stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnomon.runtime.files import write_durably
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.signing import Signer


def attest(
    folder: Path,
    reference: str,
    digest: str,
    signer: Signer,
    *,
    kind: str,
    predicate: Mapping[str, Any],
    predicate_type: str,
) -> Path:
    """Sign a statement about a package, lay it among its attestations, and return the file.

    One of the same kind by the same key is replaced. It does not count as the builder's signature.

    Args:
        folder: the package's folder.
        reference: its `name@version`.
        digest: its digest.
        signer: whose key signs.
        kind: what the file's name begins with.
        predicate: the content of the statement, as JSON.
        predicate_type: the URI of the statement's kind, as in in-toto.
    """
    name, _, version = reference.partition("@")
    envelope = signer.sign_package(digest, name, version, predicate, predicate_type)
    file = folder / layout.ATTESTATIONS / f"{kind}-{signer.key_id[:16]}.json"
    file.parent.mkdir(exist_ok=True)
    write_durably(file, envelope)
    return file
