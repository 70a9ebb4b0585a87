"""The Open Inference Protocol's messages in a descriptor pool of our own.

Other packages (tritonclient) register the same names in the process's default pool, and a name can
be registered there only once. What a client of ours needs is therefore kept apart.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"


@cache
def inference_messages() -> Mapping[str, Any]:
    """Return the message classes by name, such as `ModelInferRequest`."""
    pool = descriptor_pool.DescriptorPool()
    data = files("gnomon.proto").joinpath("inference.binpb").read_bytes()
    added = pool.AddSerializedFile(data)
    found = added if added is not None else pool.FindFileContainingSymbol(SERVICE)
    return {
        name: message_factory.GetMessageClass(descriptor)
        for name, descriptor in found.message_types_by_name.items()
    }
