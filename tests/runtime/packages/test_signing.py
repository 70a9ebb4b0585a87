"""Signatures: what counts, what does not, and that a refusal says why."""

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime.errors import ConfigurationError, UntrustedPackage
from gnomon.runtime.packages.signing import Signer, TrustStore

DIGEST = "ab" * 32
SIGNER = Signer.generate()
TRUST = TrustStore([SIGNER.public_key])
ENVELOPE = SIGNER.sign_package(DIGEST, "eta", "1", {"role": "build"})


def test_envelope_is_dsse_over_an_in_toto_statement() -> None:
    """Verified by hand, as a tool that knows only the two standards would."""
    envelope = json.loads(ENVELOPE)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    key = Ed25519PublicKey.from_public_bytes(SIGNER.public_key)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "eta@1", "digest": {"sha256": DIGEST}}]
    assert statement["predicate"] == {"role": "build"}


def test_counts_trusted_keys_once_and_skips_unknown_callers() -> None:
    stranger = Signer.generate().sign_package(DIGEST, "eta", "1")
    envelopes = [stranger, b"not json", ENVELOPE, ENVELOPE]
    assert TRUST.verify(DIGEST, envelopes) == (SIGNER.key_id,)


def test_signature_on_another_digest_does_not_count() -> None:
    with pytest.raises(UntrustedPackage, match="it vouches for abababababababab, another"):
        TRUST.verify("cd" * 32, [ENVELOPE])


def test_empty_trust_store_trusts_no_one() -> None:
    with pytest.raises(UntrustedPackage, match="no key is trusted here"):
        TrustStore([]).verify(DIGEST, [ENVELOPE])


def test_claimed_key_id_without_its_signature_does_not_count() -> None:
    envelope = json.loads(Signer.generate().sign_package(DIGEST, "eta", "1"))
    envelope["signatures"][0]["keyid"] = SIGNER.key_id
    with pytest.raises(UntrustedPackage, match="no valid signature by a trusted key"):
        TRUST.verify(DIGEST, [json.dumps(envelope).encode()])


@given(st.integers(0, len(ENVELOPE) - 1), st.integers(1, 255))
def test_altered_envelope_never_vouches_for_anything_else(position: int, flip: int) -> None:
    altered = bytearray(ENVELOPE)
    altered[position] ^= flip
    with pytest.raises(UntrustedPackage):
        TRUST.verify("cd" * 32, [bytes(altered)])


def test_key_file_is_private_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    SIGNER.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Signer.load(path).public_key == SIGNER.public_key


def test_key_file_without_a_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    with pytest.raises(ConfigurationError, match=r"signing\.pem"):
        Signer.load(path)
    path.write_text("nonsense")
    with pytest.raises(ConfigurationError, match="holds no readable PEM key"):
        Signer.load(path)
    with pytest.raises(ConfigurationError, match="has 31 bytes"):
        TrustStore([b"x" * 31])
