"""Triton's model configuration, derived from a package's manifest."""

from collections.abc import Sequence
from typing import Any

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.manifest import Manifest, TensorSpec
from gnomon.runtime.raw_tensors import TEXT

#: Rows of one request that are always accepted. More are accepted if the message is not too long,
#: but tools that try all sizes up to this number need a bound.
BATCH_ROWS = 4_096


def platform_of(manifest: Manifest) -> str:
    """Return the name of the engine that runs a package."""
    return f"gnomon_{manifest.format}"


def config_of(route: str, digest: str, manifest: Manifest) -> oip.ModelConfig:
    """Return the configuration of the package behind a route.

    If all tensors have a first dimension of any length, that is the batch, and `dims` leaves it
    out, as Triton does.
    """
    specs = (*manifest.signature.inputs, *manifest.signature.outputs)
    is_batched = all(spec.shape[:1] == (-1,) for spec in specs)
    config = oip.ModelConfig(
        name=route,
        platform=platform_of(manifest),
        backend="gnomon",
        max_batch_size=BATCH_ROWS if is_batched else 0,
        default_model_filename=manifest.model_file,
        model_transaction_policy=oip.ModelTransactionPolicy(decoupled=False),
    )
    for specs, tensors in (
        (manifest.signature.inputs, config.input),
        (manifest.signature.outputs, config.output),
    ):
        _add(tensors, specs, is_batched)
    config.parameters["gnomon_digest"].string_value = digest
    config.parameters["gnomon_version"].string_value = manifest.version
    return config


def _add(tensors: Any, specs: Sequence[TensorSpec], is_batched: bool) -> None:
    for spec in specs:
        dims = spec.shape[1:] if is_batched else spec.shape
        name = "STRING" if spec.datatype == TEXT else spec.datatype
        # Triton has no tensor without dimensions; a row of one number is [1].
        tensors.add(name=spec.name, data_type=oip.DataType.Value(f"TYPE_{name}"), dims=dims or (1,))
