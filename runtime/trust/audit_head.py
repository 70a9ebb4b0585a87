"""Heads of a hub's audit chain, signed by the keys that desired states are delegated to.

These keys are outside of the hub's database. So an attacker who can only write the database can
neither sign another head, nor take back one that a node has.
"""

from google.protobuf.message import DecodeError
from securesystemslib.signer import Signature, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Targets

from gnomon.proto import hub_pb2
from gnomon.runtime.audit_chain import ChainHead
from gnomon.runtime.errors import UntrustedMetadata
from gnomon.runtime.packages.signing import authenticated_bytes
from gnomon.runtime.trust.content import DESIRED

HEAD_TYPE = "application/vnd.gnomon.audit-head"


def sign_head(head: ChainHead, signer: Signer) -> hub_pb2.SignedAuditHead:
    """Return a head with a signature."""
    message = hub_pb2.AuditHead(epoch=head.epoch, sequence=head.sequence, hash=head.hash)
    data = message.SerializeToString(deterministic=True)
    signature = signer.sign(authenticated_bytes(HEAD_TYPE, data))
    return hub_pb2.SignedAuditHead(
        head=data,
        signatures=[
            hub_pb2.Signature(key_id=signature.keyid, signature=bytes.fromhex(signature.signature))
        ],
    )


def verify_head(signed: hub_pb2.SignedAuditHead, targets: Targets) -> ChainHead:
    """Return a head after a check of its signatures.

    Raises:
        UntrustedMetadata: the keys that desired states are delegated to did not sign it.
    """
    signatures = {
        one.key_id: Signature(one.key_id, one.signature.hex()) for one in signed.signatures
    }
    message = hub_pb2.AuditHead()
    try:
        targets.verify_delegate(DESIRED, authenticated_bytes(HEAD_TYPE, signed.head), signatures)
        message.ParseFromString(signed.head)
    except (RepositoryError, ValueError, DecodeError) as error:
        raise UntrustedMetadata(
            f"the head of the hub's audit chain is not signed by it: {error}"
        ) from error
    return ChainHead(message.epoch, message.sequence, message.hash)
