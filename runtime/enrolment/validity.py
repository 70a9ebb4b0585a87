"""How long a client certificate holds, decided by the hub and not by TLS.

TLS on either side would decide by clocks that may be wrong: a certificate that begins tomorrow, or
ended while a device was offline, would end every connection without a word. So the certificate
itself is valid at all times, and an extension says from when to when the hub accepts it. After its
end it can still be renewed. A certificate without the extension holds as X.509 says.
"""

from datetime import UTC, datetime

from cryptography import x509

#: Derived from a random UUID, as ITU-T X.667 describes: such names need no registration.
_OID = x509.ObjectIdentifier("2.25.270783610867304066900225362862967805330")


def validity_extension(issued_at: datetime, expires_at: datetime) -> x509.UnrecognizedExtension:
    """Return the extension for a certificate; times are whole milliseconds."""
    text = f"{_milliseconds(issued_at)}/{_milliseconds(expires_at)}"
    return x509.UnrecognizedExtension(_OID, text.encode())


def read_validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """Return from when to when the hub accepts a certificate.

    Raises:
        ValueError: the extension is malformed.
    """
    try:
        extension = certificate.extensions.get_extension_for_oid(_OID).value
    except x509.ExtensionNotFound:
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not isinstance(extension, x509.UnrecognizedExtension):
        raise ValueError("the certificate's validity is malformed")
    issued_at, _, expires_at = extension.value.decode("ascii").partition("/")
    try:
        return _time(issued_at), _time(expires_at)
    except (OverflowError, OSError) as error:
        raise ValueError(f"the certificate's validity is out of range: {error}") from error


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(int(text) / 1000, UTC)
