"""The identity of a node: its private key, which never leaves it, and its certificate.

The key is durable before the token is spent, so an enrolment whose answer was lost can be repeated:
the hub takes the same token again from the same key.
"""

import hashlib
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gnomon.proto import hub_pb2
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError, HubError, HubUnavailable, StorageError
from gnomon.runtime.files import write_durably
from gnomon.runtime.packages.signing import TrustStore


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the hub issued: certificate and authority (PEM), and trusted keys of packages."""

    certificate: bytes
    authority: bytes
    trusted_keys: tuple[bytes, ...]

    @property
    def trust(self) -> TrustStore:
        """Return the keys whose signatures on packages this node trusts."""
        return TrustStore(self.trusted_keys)

    def is_due_for_renewal(self, now: datetime) -> bool:
        """Whether two thirds of the certificate's life have passed at `now`, the hub's time."""
        certificate = x509.load_pem_x509_certificate(self.certificate)
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return now > start + (end - start) * 2 / 3


@dataclass(frozen=True, slots=True)
class IdentityFolder:
    """The folder of key and identity; only their owner may read them."""

    folder: Path

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Return the node's private key, made the first time.

        Raises:
            StorageError: the key cannot be read or written.
        """
        path = self.folder / "key.pem"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                write_durably(path, key_pem(ec.generate_private_key(ec.SECP256R1())), mode=0o600)
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise StorageError(f"the node's key {path} cannot be used: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise StorageError(f"the node's key {path} is not an elliptic curve key")
        return key

    def load(self) -> Identity | None:
        """Return the identity; None if the node has not enrolled yet.

        Raises:
            StorageError: it cannot be read.
        """
        path = self.folder / "identity.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Identity)
        except FileNotFoundError:
            return None
        except (OSError, *UNDECODABLE) as error:
            raise StorageError(f"the node's identity {path} cannot be read: {error}") from error

    def save(self, response: hub_pb2.EnrollResponse) -> Identity:
        """Check the hub's answer, store it, and return it.

        Raises:
            HubError: the certificate is not for this node's key.
            StorageError: it cannot be written.
        """
        identity = Identity(
            certificate=response.certificate,
            authority=response.authority,
            trusted_keys=tuple(response.trusted_keys),
        )
        try:
            certificate = x509.load_pem_x509_certificate(identity.certificate)
            x509.load_pem_x509_certificate(identity.authority)
        except ValueError as error:
            raise HubError(
                f"the hub's answer to the enrolment holds no certificate: {error}"
            ) from error
        if certificate.public_key() != self.key().public_key():
            raise HubError("the hub's certificate is for another key than this node's")
        try:
            write_durably(self.folder / "identity.json", msgspec.json.encode(identity), mode=0o600)
        except OSError as error:
            raise StorageError(f"the identity cannot be kept in {self.folder}: {error}") from error
        return identity

    def request(self, name: str) -> bytes:
        """Return a certificate request (PKCS#10, DER) for the node's key and name."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        signed = builder.sign(self.key(), hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)


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
