"""Triton's bidirectional stream: requests in, an answer to each in the order of the requests.

A rejected request does not end the stream. Its answer has an `error_message`, the request's id, and
the error's code and details as the parameters `gnomon_code` and `gnomon_details`. Each request has
exactly one answer, marked by `triton_final_response`. So no empty answer follows it, even if
`triton_enable_empty_final_response` requests one.
"""

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.wire import CODE_KEY, DETAILS_KEY
from gnomon.server.serving.methods import refusal_of

FINAL = "triton_final_response"
#: The parameters that a refusal's metadata becomes within a stream.
_PARAMETERS = {CODE_KEY: "gnomon_code", DETAILS_KEY: "gnomon_details"}


def answered(response: oip.ModelInferResponse) -> bytes:
    """Return the message that an answer becomes in a stream."""
    message = oip.ModelStreamInferResponse(infer_response=response)
    return _final(message)


def refused(request_id: str, error: Exception) -> bytes:
    """Return the message that a failure becomes in a stream."""
    refusal = refusal_of(error)
    message = oip.ModelStreamInferResponse(error_message=refusal.message)
    message.infer_response.id = request_id
    for name, value in refusal.metadata:
        text = value.decode() if isinstance(value, bytes) else value
        message.infer_response.parameters[_PARAMETERS.get(name, name)].string_param = text
    return _final(message)


def _final(message: oip.ModelStreamInferResponse) -> bytes:
    message.infer_response.parameters[FINAL].bool_param = True
    encoded: bytes = message.SerializeToString()
    return encoded
