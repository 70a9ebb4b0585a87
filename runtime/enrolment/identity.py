"""The identity of a node: its private key, which never leaves it, and its certificate.

The key is durable before the token is spent, so an enrolment whose answer was lost can be repeated:
the hub takes the same token again from the same key.
"""

import contextlib
import hashlib
import logging
import socket
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.validity import read_validity
from gnomon.runtime.errors import ConfigurationError, HubError, HubUnavailable, StorageError
from gnomon.runtime.files import clear_temporaries, write_durably
from gnomon.runtime.state_file import StateFile

_log = logging.getLogger(__name__)


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the hub issued: certificate and authority (PEM).

    Attributes:
        certificate: the node's, PEM.
        authority: the hub's, PEM.
        trusted_keys: in files of earlier versions, which had no file of trusted keys.
        token_hash: SHA-256 of the token that it was traded for, in hex; empty: not known.
    """

    certificate: bytes
    authority: bytes
    trusted_keys: tuple[bytes, ...] = ()
    token_hash: str = ""

    @property
    def validity(self) -> tuple[datetime, datetime]:
        """Return from when to when the hub accepts the certificate."""
        return read_validity(x509.load_pem_x509_certificate(self.certificate))

    def is_due_for_renewal(self, now: datetime) -> bool:
        """Whether two thirds of the certificate's life have passed at `now`, the hub's time."""
        start, end = self.validity
        return now > start + (end - start) * 2 / 3


def decode_identity(data: bytes) -> Identity:
    """Read an identity; raises ValueError if it is damaged."""
    identity = msgspec.json.decode(data, type=Identity)
    x509.load_pem_x509_certificate(identity.authority)
    _ = identity.validity
    return identity


class IdentityFolder:
    """The folder of key and identity, each with a copy; only their owner may read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = StateFile(folder / "identity.json", decode_identity)

    @property
    def damage(self) -> str:
        """What was wrong with the identity when it was loaded; empty: nothing."""
        return self._file.damage

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Return the node's private key, made the first time.

        Raises:
            StorageError: the key cannot be read or written.
        """
        path, copy = self.folder / "key.pem", self.folder / "key.pem.old"
        try:
            clear_temporaries(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists() and not copy.exists():
                write_durably(path, key_pem(ec.generate_private_key(ec.SECP256R1())), mode=0o600)
            key = _read_key(path) or _read_key(copy)
        except OSError as error:
            raise StorageError(f"the node's key {path} cannot be used: {error}") from error
        if key is None:
            raise StorageError(f"the node's key {path} is no elliptic curve key (PEM), or damaged")
        if not copy.exists():
            with contextlib.suppress(OSError):
                write_durably(copy, key_pem(key), mode=0o600)
        return key

    def replace_unusable_key(self) -> None:
        """Put a key that cannot be read aside, so that a new one is made.

        Raises:
            StorageError: the disk cannot be written.
        """
        try:
            self.key()
        except StorageError as error:
            _log.error("%s; a new key is made", error)
            try:
                for path in self.folder.glob("key.pem*"):
                    path.replace(path.with_name(f"damaged-{path.name}"))
            except OSError as problem:
                raise StorageError(f"{error}, and cannot be replaced: {problem}") from problem

    def load(self) -> Identity | None:
        """Return the identity; None if the node has not enrolled yet, or both copies are damaged.

        Damage is logged, and kept in `damage`.
        """
        return self._file.read()

    def save(self, response: hub_pb2.EnrollResponse, token_hash: str = "") -> Identity:
        """Check the hub's answer, store it, and return it; the former one is kept as a copy.

        Args:
            response: the hub's answer to an enrolment or a renewal.
            token_hash: SHA-256 in hex of the token that was traded for it; empty: not known.

        Raises:
            HubError: the certificate is not for this node's key.
            StorageError: it cannot be written.
        """
        identity = Identity(
            certificate=response.certificate, authority=response.authority, token_hash=token_hash
        )
        try:
            certificate = x509.load_pem_x509_certificate(identity.certificate)
            decode_identity(msgspec.json.encode(identity))
        except ValueError as error:
            raise HubError(
                f"the hub's answer to the enrolment holds no certificate: {error}"
            ) from error
        if certificate.public_key() != self.key().public_key():
            raise HubError("the hub's certificate is for another key than this node's")
        self._file.write(msgspec.json.encode(identity))
        return identity

    def request(self, name: str) -> bytes:
        """Return a certificate request (PKCS#10, DER) for the node's key and name."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        signed = builder.sign(self.key(), hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    """Return a key; None if the file holds none or cannot be read."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be used: %s", path, error)
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_authority(path: Path) -> bytes:
    """Return the hub's certificate authority (PEM) from a file.

    Raises:
        ConfigurationError: the file holds no certificate.
    """
    try:
        data = path.read_bytes()
        x509.load_pem_x509_certificate(data)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"authority_file {path} holds no certificate: {error}") from error
    return data


def fetch_authority(address: str, fingerprint: str, timeout_seconds: float = 10.0) -> bytes:
    """Return the authority's certificate (PEM) from a server if it has this fingerprint.

    The server is trusted by nothing but the fingerprint, the SHA-256 of the certificate (DER) in
    hex.

    Raises:
        HubUnavailable: there is no answer at the address.
        HubError: no certificate in the server's chain has the fingerprint.
    """
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout_seconds) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")) as secure,
        ):
            chain = _certificate_chain(secure)
    except (OSError, ValueError) as error:
        raise HubUnavailable(f"no hub answers at {address}: {error}") from error
    expected = fingerprint.replace(":", "").lower()
    for certificate in chain:
        if hashlib.sha256(certificate).hexdigest() == expected:
            return ssl.DER_cert_to_PEM_cert(certificate).encode()
    raise HubError(
        f"the server at {address} shows no authority with SHA-256 {expected}; it shows "
        + ", ".join(hashlib.sha256(certificate).hexdigest() for certificate in chain)
    )


def _certificate_chain(secure: ssl.SSLSocket) -> list[bytes]:
    """Return the certificates (DER) that the server sent; public in `ssl` from Python 3.13 on."""
    connection: Any = secure
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    shown = connection._sslobj.get_unverified_chain() or ()
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in shown]
