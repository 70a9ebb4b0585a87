"""Signatures on packages: DSSE envelopes over in-toto statements, Ed25519.

An envelope signs the type and the bytes of its payload (the pre-authentication encoding of DSSE
1.0); the payload is an in-toto Statement v1 whose subject is the package's digest. So the formats
are those that other supply-chain tools read, and a package may carry envelopes of several parties.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gnomon.runtime.errors import ConfigurationError, UntrustedPackage
from gnomon.runtime.files import write_durably
from gnomon.runtime.packages.package_keys import PackageKey, as_package_key

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:gnomon:package:v1"
#: What a test deployment states; it says how the package fared, and not that it is to be trusted.
TEST_PREDICATE_TYPE = "urn:gnomon:test:v1"
#: That somebody approves of the package for the environment that the predicate names.
APPROVAL_PREDICATE_TYPE = "urn:gnomon:approval:v1"
#: What a replay states: whether recorded answers came out again.
REPLAY_PREDICATE_TYPE = "urn:gnomon:replay:v1"
#: Of a statement about the pipeline's run that made the package.
RUN_PREDICATE_TYPE = "urn:gnomon:run:v1"
#: How far the model was from the library that trained it, when it was imported.
PARITY_PREDICATE_TYPE = "urn:gnomon:parity:v1"


class _Signature(msgspec.Struct):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct):
    payload: str
    payloadType: str  # noqa: N815 (the name is DSSE's)
    signatures: list[_Signature]


class _Subject(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _Statement(msgspec.Struct):
    type: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: dict[str, Any]


def key_id(public_key: bytes) -> str:
    """Return the name of an Ed25519 public key (32 bytes): its SHA-256 in hex."""
    return hashlib.sha256(public_key).hexdigest()


class Signer:
    """An Ed25519 private key that signs packages."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "Signer":
        """Return a signer with a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Read a key from an unencrypted PKCS#8 PEM file.

        Raises:
            ConfigurationError: if the file is missing or holds no Ed25519 key.
        """
        try:
            key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} holds no readable PEM key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(
                f"{path} holds a {type(key).__name__}; packages are signed with an Ed25519 key"
            )
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key as PKCS#8 PEM that only its owner may read."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_durably(Path(path), pem, mode=0o600)

    @property
    def public_key(self) -> bytes:
        """Return the public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """Return the name of the public key."""
        return key_id(self.public_key)

    def sign_package(
        self,
        digest: str,
        name: str,
        version: str,
        predicate: Mapping[str, Any] | None = None,
        predicate_type: str = PREDICATE_TYPE,
    ) -> bytes:
        """Return a DSSE envelope (JSON) that vouches for the package of this digest.

        With another `predicate_type` it states something else about the package. The same arguments
        always give the same bytes.

        Args:
            digest: SHA-256 of the manifest.
            name: the model's name.
            version: the version's name.
            predicate: what is stated; None: nothing but the package.
            predicate_type: the URI of the statement's kind.
        """
        statement = _Statement(
            type=STATEMENT_TYPE,
            subject=[_Subject(name=f"{name}@{version}", digest={"sha256": digest})],
            predicate_type=predicate_type,
            predicate=dict(predicate or {}),
        )
        payload = msgspec.json.encode(statement, order="sorted")
        signature = self._key.sign(authenticated_bytes(PAYLOAD_TYPE, payload))
        envelope = _Envelope(
            payload=base64.b64encode(payload).decode(),
            payloadType=PAYLOAD_TYPE,
            signatures=[_Signature(self.key_id, base64.b64encode(signature).decode())],
        )
        return msgspec.json.encode(envelope)


class TrustStore:
    """The public keys whose signatures count here, each for the models of its pattern."""

    def __init__(self, keys: Iterable[bytes | PackageKey]) -> None:
        """Trust these Ed25519 public keys; of one that is given twice, all patterns count.

        Raises:
            ConfigurationError: if one of them is not such a key.
        """
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._patterns: dict[str, list[PackageKey]] = {}
        for one in map(as_package_key, keys):
            name = key_id(one.key)
            self._keys[name] = Ed25519PublicKey.from_public_bytes(one.key)
            self._patterns.setdefault(name, []).append(one)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Return the names of the trusted keys."""
        return tuple(self._keys)

    def verify(
        self, digest: str, envelopes: Sequence[bytes], model: str | None = None
    ) -> tuple[str, ...]:
        """Return the names of the trusted keys that signed the package of this digest.

        A key that is limited to some models counts only if the signed statement is about one of
        them; the statement's model must be `model`.

        Args:
            digest: SHA-256 of the manifest.
            envelopes: the attestations.
            model: the name in the manifest; None: not known yet, and to be verified later.

        Raises:
            UntrustedPackage: if no envelope counts; the message says why each envelope did not
                count.
        """
        signers: list[str] = []
        reasons: list[str] = []
        for position, envelope in enumerate(envelopes):
            try:
                signers += self._read(digest, envelope, PREDICATE_TYPE, model)[0]
            except _NotCounted as refusal:
                reasons.append(f"envelope {position}: {refusal}")
        if not signers:
            expected = ", ".join(name[:16] for name in self._keys) or "none: no key is trusted here"
            found = "; ".join(reasons) or "no envelope at all"
            raise UntrustedPackage(
                f"package {digest[:16]} is not signed by a trusted key "
                f"(expected a signature by one of: {expected}; got {found})",
                details=[{"digest": digest, "trusted": list(self._keys), "got": reasons}],
            )
        return tuple(dict.fromkeys(signers))

    def statements(
        self, digest: str, envelopes: Sequence[bytes], predicate_type: str, model: str
    ) -> tuple[dict[str, Any], ...]:
        """Return what trusted keys state of this type about the package; all else is left out.

        Args:
            digest: SHA-256 of the manifest.
            envelopes: the attestations.
            predicate_type: the URI of the statements' kind.
            model: the name in the manifest.
        """
        found = []
        for envelope in envelopes:
            try:
                found.append(self._read(digest, envelope, predicate_type, model)[1])
            except _NotCounted:
                continue
        return tuple(found)

    def _read(
        self, digest: str, data: bytes, predicate_type: str, model: str | None
    ) -> tuple[list[str], dict[str, Any]]:
        """Return the trusted keys behind one envelope and what they state.

        Raises `_NotCounted` with the reason if it is not a trusted statement of this type.
        """
        try:
            envelope = msgspec.json.decode(data, type=_Envelope)
            payload = base64.b64decode(envelope.payload, validate=True)
        except (msgspec.DecodeError, ValueError) as error:
            raise _NotCounted(f"it is not a DSSE envelope: {error}") from error
        if envelope.payloadType != PAYLOAD_TYPE:
            raise _NotCounted(f"its payload is {envelope.payloadType[:80]!r}, not {PAYLOAD_TYPE!r}")
        authenticated = authenticated_bytes(envelope.payloadType, payload)
        valid = [s.keyid for s in envelope.signatures if self._is_valid(s, authenticated)]
        if not valid:
            found = ", ".join(s.keyid[:16] for s in envelope.signatures) or "nobody"
            raise _NotCounted(f"it has no valid signature by a trusted key (signed by {found})")
        subject, predicate = _read_statement(payload, digest, predicate_type)
        names = [name for name in valid if self._covers(name, subject, model)]
        if not names:
            raise _NotCounted(
                f"it is about the model {model or subject!r}, and its key signs for "
                f"{', '.join(one.models for name in valid for one in self._patterns[name])}"
            )
        return names, predicate

    def _covers(self, name: str, subject: str, model: str | None) -> bool:
        """Return whether a key signs for the model of a statement, and of the manifest."""
        return any(
            not one.is_limited or (one.covers(subject) and model in (None, subject))
            for one in self._patterns[name]
        )

    def _is_valid(self, signature: _Signature, authenticated: bytes) -> bool:
        key = self._keys.get(signature.keyid)
        if key is None:
            return False
        try:
            key.verify(base64.b64decode(signature.sig, validate=True), authenticated)
        except (InvalidSignature, ValueError):
            return False
        return True


class _NotCounted(Exception):
    """Why an envelope does not count."""


def _read_statement(payload: bytes, digest: str, predicate_type: str) -> tuple[str, dict[str, Any]]:
    """Return the model that a statement of this digest names, and what it states.

    Raises `_NotCounted` if it is of something else.
    """
    try:
        statement = msgspec.json.decode(payload, type=_Statement)
    except (msgspec.DecodeError, ValueError) as error:
        raise _NotCounted(f"its payload is not an in-toto statement: {error}") from error
    if statement.type != STATEMENT_TYPE or statement.predicate_type != predicate_type:
        raise _NotCounted(f"it states {statement.predicate_type[:80]!r}, not {predicate_type!r}")
    subjects = [subject.digest.get("sha256", "") for subject in statement.subject]
    if digest not in subjects:
        raise _NotCounted(f"it vouches for {', '.join(s[:16] for s in subjects)}, another package")
    name = statement.subject[subjects.index(digest)].name
    return name.partition("@")[0], statement.predicate


def authenticated_bytes(payload_type: str, payload: bytes) -> bytes:
    """Return what DSSE signs: its pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
