"""Desired states are signed by the keys that the targets metadata delegates them to."""

from google.protobuf.message import DecodeError
from securesystemslib.signer import Signature, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Targets

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import UntrustedMetadata
from gnomon.runtime.packages.signing import authenticated_bytes
from gnomon.runtime.trust.content import DESIRED

STATE_TYPE = "application/vnd.gnomon.desired-state"


def sign_state(state: hub_pb2.DesiredState, signer: Signer) -> hub_pb2.SignedState:
    """Return a node's desired state with a signature."""
    data = state.SerializeToString(deterministic=True)
    signature = signer.sign(authenticated_bytes(STATE_TYPE, data))
    return hub_pb2.SignedState(
        state=data,
        signatures=[
            hub_pb2.Signature(key_id=signature.keyid, signature=bytes.fromhex(signature.signature))
        ],
    )


def verify_state(signed: hub_pb2.SignedState, targets: Targets, node: str) -> hub_pb2.DesiredState:
    """Return the desired state of a node after a check of its signatures.

    Args:
        signed: what the hub sent.
        targets: the verified top-level targets.
        node: the node's name.

    Raises:
        UntrustedMetadata: the keys that desired states are delegated to did not sign it, or it is
            another node's.
    """
    signatures = {
        one.key_id: Signature(one.key_id, one.signature.hex()) for one in signed.signatures
    }
    state = hub_pb2.DesiredState()
    try:
        targets.verify_delegate(DESIRED, authenticated_bytes(STATE_TYPE, signed.state), signatures)
        state.ParseFromString(signed.state)
    except (RepositoryError, ValueError, DecodeError) as error:
        raise UntrustedMetadata(f"the hub's desired state is not signed by it: {error}") from error
    if state.node != node:
        raise UntrustedMetadata(f"the hub sent the desired state of {state.node!r}, not {node!r}")
    return state
