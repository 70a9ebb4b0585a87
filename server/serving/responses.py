"""What a response says besides its outputs."""

from dataclasses import asdict
from typing import Any

import msgspec

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.server.serving.infer_execution import InferResult

__all__ = ["begin_response", "tensor_metadata"]


def begin_response(request: oip.ModelInferRequest, answered: InferResult) -> oip.ModelInferResponse:
    """Return the response without its outputs: names, request id and parameters."""
    answer = answered.answer
    response = oip.ModelInferResponse(
        model_name=request.model_name, model_version=answer.version, id=answer.request_id
    )
    parameters = response.parameters
    parameters["gnomon_digest"].string_param = answer.digest
    if answer.fallback is not None:
        parameters["gnomon_fallback"].string_param = answer.fallback
        parameters["gnomon_fallback_by"].string_param = answer.fallback_by or ""
    if answer.violations:
        parameters["gnomon_violations"].string_param = _json([asdict(v) for v in answer.violations])
    if answered.refused is not None:
        parameters["gnomon_refused"].string_param = _json(answered.refused)
        parameters["gnomon_ids"].string_param = _json(answered.ids)
    return response


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def tensor_metadata(spec: TensorSpec) -> oip.ModelMetadataResponse.TensorMetadata:
    """Return a tensor as the Open Inference Protocol describes it."""
    return oip.ModelMetadataResponse.TensorMetadata(
        name=spec.name, datatype=spec.datatype, shape=spec.shape
    )
