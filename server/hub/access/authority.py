"""The hub's certificate authority: one ECDSA P-256 key that signs all certificates.

A certificate's common name is the name, its organisational unit the role. The authority and the
server's own certificate never expire: clients pin the authority, and a device whose clock
says 1970 or 2099 must still be able to report. So do clients' certificates, for TLS; an extension
says how long the hub accepts them (`gnomon.runtime.enrolment.validity`), by the hub's clock.
"""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gnomon.runtime.enrolment.identity import key_pem
from gnomon.runtime.enrolment.validity import read_validity, validity_extension
from gnomon.runtime.errors import ConfigurationError, InvalidInput, NotAllowed, StorageError
from gnomon.runtime.files import write_durably

NODE = "node"
BUILDER = "builder"
ROLES = (NODE, BUILDER)

_ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
_LOCAL_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class CertificateIdentity:
    """The identity in a client certificate."""

    name: str
    role: str
    serial: str  # hex
    issued_at: int  # Unix milliseconds
    expires_at: int
    key_hash: str  # SHA-256 of the public key, hex


@dataclass(frozen=True)
class Request:
    """A verified certificate request: the name and the public key that it asks for."""

    name: str
    public_key: ec.EllipticCurvePublicKey
    key_hash: str  # SHA-256 of the public key, hex


class Authority:
    """Issues certificates; its key is in the data folder, readable only by its owner."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def in_folder(
        cls, folder: Path, *, may_make: bool = True, may_repair: bool = True
    ) -> "Authority":
        """Load the authority of a data folder.

        Args:
            folder: the data folder.
            may_make: whether a missing one may be made.
            may_repair: whether a lost certificate may be made again from its key.

        Raises:
            StorageError: a file is missing that may not be made, or the two do not belong together.
            ConfigurationError: a file cannot be read, or holds something else.
        """
        key_path, certificate_path = folder / "authority.key", folder / "authority.pem"
        if not key_path.exists() and (certificate_path.exists() or not may_make):
            raise StorageError(
                f"{key_path} is missing, and all nodes trust that key: copy it from a backup; with "
                "a new one every node would have to enrol again"
            )
        if not key_path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            write_durably(key_path, key_pem(key), mode=0o600)
        try:
            found = serialization.load_pem_private_key(key_path.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{folder}: no usable authority: {error}") from error
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise ConfigurationError(f"{key_path} is not an elliptic curve key")
        if not certificate_path.exists() and may_repair:
            # First start, or a lost file: nodes check the signature of the key.
            write_durably(certificate_path, cls._certify(found).certificate_pem)
        return cls._with_certificate(found, certificate_path)

    @classmethod
    def _with_certificate(cls, key: ec.EllipticCurvePrivateKey, path: Path) -> "Authority":
        if not path.exists():
            raise StorageError(f"{path} is missing; the next start of the hub makes it again")
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path.parent}: no usable authority: {error}") from error
        if certificate.public_key() != key.public_key():
            raise StorageError(
                f"{path} is not of the key beside it: put both back from one backup, or remove the "
                "certificate to have it made again"
            )
        return cls(key, certificate)

    @classmethod
    def _certify(cls, key: ec.EllipticCurvePrivateKey) -> "Authority":
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gnomon hub authority")])
        certificate = (
            _builder(name, name, key.public_key(), _ALWAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @property
    def certificate_pem(self) -> bytes:
        """Return the authority's certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the authority's certificate (DER), in hex."""
        return self._certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def key_hash(self) -> str:
        """Return the SHA-256 of the authority's public key (DER), in hex."""
        return _hash_of_key(self._key.public_key())

    def derive_secret(self, purpose: str) -> bytes:
        """Return 32 secret bytes for a purpose: the same in every hub with this authority."""
        key = self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        derivation = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode())
        return derivation.derive(key)

    def issue_server(self, names: Iterable[str] = ()) -> tuple[bytes, bytes]:
        """Return a new key and certificate chain (PEM) for the hub's own ports.

        Args:
            names: host names and IP addresses that clients call, besides localhost and 127.0.0.1.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gnomon hub")])
        alternatives = [_general_name(name) for name in dict.fromkeys((*_LOCAL_NAMES, *names))]
        certificate = (
            _builder(subject, self._certificate.subject, key.public_key(), _ALWAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        chain = certificate.public_bytes(serialization.Encoding.PEM) + self.certificate_pem
        return key_pem(key), chain

    def issue_client(
        self, request: Request, role: str, days: float
    ) -> tuple[bytes, CertificateIdentity]:
        """Return a certificate (PEM) for a request, and the identity that it carries."""
        start = datetime.now(UTC)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, request.name),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            ]
        )
        validity = validity_extension(start, start + timedelta(days=days))
        certificate = (
            _builder(subject, self._certificate.subject, request.public_key, _ALWAYS)
            .add_extension(validity, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _identity(certificate)


def read_request(data: bytes) -> Request:
    """Read a PKCS#10 request (DER) and check that its sender holds the key.

    Raises:
        InvalidInput: if it is no request, is not signed by its own key, or the key is not P-256.
    """
    try:
        request = x509.load_der_x509_csr(data)
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InvalidInput("the certificate request's key should be an ECDSA P-256 key")
        key.verify(request.signature, request.tbs_certrequest_bytes, ec.ECDSA(_hash_of(request)))
        (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except InvalidSignature as error:
        raise InvalidInput("the certificate request is not signed by its own key") from error
    except ValueError as error:
        raise InvalidInput(
            "not a certificate request (PKCS#10, DER) with one common name"
        ) from error
    return Request(str(name.value), key, _hash_of_key(key))


@lru_cache(maxsize=4096)
def read_identity(pem: bytes) -> CertificateIdentity:
    """Return who a client certificate (PEM) that TLS has verified belongs to.

    Raises:
        NotAllowed: if it does not name a name and a known role.
    """
    try:
        return _identity(x509.load_pem_x509_certificate(pem))
    except ValueError as error:
        raise NotAllowed("the client certificate has no name and role") from error


def _identity(certificate: x509.Certificate) -> CertificateIdentity:
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    (role,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if role.value not in ROLES:
        raise ValueError(f"unknown role {role.value!r}")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the key is no elliptic curve key")
    issued_at, expires_at = read_validity(certificate)
    return CertificateIdentity(
        name=str(name.value),
        role=str(role.value),
        serial=format(certificate.serial_number, "x"),
        issued_at=round(issued_at.timestamp() * 1000),
        expires_at=round(expires_at.timestamp() * 1000),
        key_hash=_hash_of_key(key),
    )


def _hash_of_key(key: ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key (SubjectPublicKeyInfo, DER) in hex."""
    encoded = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).hexdigest()


def _hash_of(request: x509.CertificateSigningRequest) -> hashes.HashAlgorithm:
    algorithm = request.signature_hash_algorithm
    if algorithm is None or algorithm.name not in ("sha256", "sha384", "sha512"):
        raise InvalidInput("the certificate request should be signed with SHA-256 or better")
    return algorithm


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
