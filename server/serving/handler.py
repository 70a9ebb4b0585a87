"""What all doors do: Open Inference Protocol messages in, Open Inference Protocol messages out.

A request may carry the parameters `at` (the data's own time: ISO 8601 text or epoch seconds) and
`key` (a text whose answers stick to one version while traffic is split). An answer names the
version that gave it, and carries `gnomon_digest`; where one of the route's fallbacks answered,
`gnomon_fallback`, the reason, and `gnomon_fallback_by`, which of them; `gnomon_violations`, JSON,
where inputs or outputs were corrected or flagged.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput, NotReady, UnknownModel
from gnomon.runtime.manifest import Manifest
from gnomon.runtime.prediction import Prediction, Predictions
from gnomon.runtime.routes import Route
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.tensors import decode_inputs, encode_outputs

#: What a request may be called; labels are joined by it, so telemetry carries it.
_ID_CHARACTERS = 128


class Handler:
    """Answers for one runtime. Threads may share it.

    Methods raise the typed errors of `gnomon.runtime.errors`, which the doors put on the wire.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._draining = False
        self._manifests: dict[str, Manifest] = {}

    @property
    def runtime(self) -> Runtime:
        """The runtime that answers."""
        return self._runtime

    def drain(self) -> None:
        """Say from now on that the server is not ready; what is asked is still answered."""
        self._draining = True

    def has_route(self, name: str) -> bool:
        """Whether a route of that name is in service."""
        return self._runtime.has_route(name)

    def server_ready(self) -> bool:
        """Whether requests should be sent here: a model is in service, and no end is near."""
        return not self._draining and bool(self._runtime.routes)

    def server_metadata(self) -> oip.ServerMetadataResponse:
        """Return the server's name and version."""
        # Slow to import, and seldom asked for.
        from importlib.metadata import version

        return oip.ServerMetadataResponse(
            name="gnomon", version=version("gnomon"), extensions=["gnomon"]
        )

    def model_ready(self, request: oip.ModelReadyRequest) -> bool:
        """Whether a model, in the version if one is named, is in service."""
        if request.name not in self._runtime.routes:
            return False
        versions = [manifest.version for manifest in self._versions(request.name)]
        return self.server_ready() and request.version in ("", *versions)

    def model_metadata(self, request: oip.ModelMetadataRequest) -> oip.ModelMetadataResponse:
        """Return the signature of the model behind a route, its first target's.

        Raises:
            UnknownModel: there is no such route, or it has no such version.
        """
        manifests = self._versions(request.name)
        if request.version:
            manifests = [one for one in manifests if one.version == request.version]
        if not manifests:
            raise UnknownModel(f"model {request.name!r} has no version {request.version[:80]!r}")
        manifest = manifests[0]
        return oip.ModelMetadataResponse(
            name=request.name,
            versions=[one.version for one in manifests],
            platform=f"gnomon_{manifest.format}",
            inputs=[_metadata(spec) for spec in manifest.signature.inputs],
            outputs=[_metadata(spec) for spec in manifest.signature.outputs],
        )

    def infer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        """Predict. One bad row refuses the request; what is refused is counted as refused.

        Raises:
            GnomonError: as `Runtime.predict_columns`; `InvalidInput` also for what cannot be read.
        """
        self._check_version(request)
        options: dict[str, Any] = {
            "request_id": request.id[:_ID_CHARACTERS] or None,
            "version": request.model_version,
        }
        try:
            check_id(request.id)
            options["at"] = _time(request)
            options["key"] = _text(request, "key")
            columns = decode_inputs(request)
            self._check_outputs(request)
        except InvalidInput:
            self.count_unread(request.model_name, **options)
            raise
        self._known(self._route(request.model_name).digests)
        answer, outputs = self._ask(request.model_name, columns, options)
        (manifest,) = self._known([answer.digest])
        response = _response(request, answer)
        wanted = [output.name for output in request.outputs]
        specs = manifest.signature.outputs
        chosen = [spec for spec in specs if not wanted or spec.name in wanted]
        encode_outputs(chosen, outputs, response, raw=bool(request.raw_input_contents))
        return response

    def count_unread(self, model: str, **options: Any) -> None:
        """Count a request that never became columns, as a request without rows is counted.

        `options` are those of `Runtime.predict_columns`.
        """
        with contextlib.suppress(InvalidInput):
            self._runtime.predict_columns(model, {}, **options)

    def _ask(
        self, model: str, columns: Mapping[str, NDArray[Any]], options: Mapping[str, Any]
    ) -> tuple[Prediction | Predictions, Mapping[str, NDArray[Any]]]:
        """Ask the runtime: one row by the way for rows, which is many times quicker."""
        if not columns or any(len(values) != 1 for values in columns.values()):
            answers = self._runtime.predict_columns(model, columns, **options)
            return answers, answers.outputs
        row = {
            name: values.item() if values.ndim == 1 else values[0]
            for name, values in columns.items()
        }
        answer = self._runtime.predict(model, row, **options)
        return answer, {name: _column(value) for name, value in answer.outputs.items()}

    def _route(self, name: str) -> Route:
        route = self._runtime.routes.get(name)
        if route is None:
            known = ", ".join(sorted(self._runtime.routes)) or "none yet"
            raise UnknownModel(f"no model {name[:80]!r} is in service here; in service: {known}")
        return route

    def _versions(self, name: str) -> list[Manifest]:
        """Return the manifests of what may be asked for; what the route itself takes is first."""
        route = self._route(name)
        shares = [target.digest for target in route.targets if target.weight]
        return self._known(list(dict.fromkeys([*shares, *route.versions])))

    def _known(self, digests: Sequence[str]) -> list[Manifest]:
        """Return manifests, kept from the first look: a package that answers may be on its way out.

        Raises:
            NotReady: one was taken out of service before it was ever looked at.
        """
        for digest in digests:
            if digest not in self._manifests:
                model = self._runtime.models.get(digest)
                if model is None:
                    raise NotReady(f"package {digest[:16]} is leaving service; try again")
                self._manifests[digest] = model.package.manifest
        return [self._manifests[digest] for digest in digests]

    def _check_version(self, request: oip.ModelInferRequest) -> None:
        """Refuse a version that the route does not have."""
        route = self._route(request.model_name)
        if not request.model_version:
            return
        versions = [manifest.version for manifest in self._versions(route.name)]
        if request.model_version not in versions:
            raise UnknownModel(
                f"model {route.name!r} is in service as version {' and '.join(versions)}, not as "
                f"{request.model_version[:80]!r}; leave model_version empty to take what is there"
            )

    def _check_outputs(self, request: oip.ModelInferRequest) -> None:
        if not request.outputs:
            return
        manifests = self._versions(request.model_name)
        known = {spec.name for manifest in manifests for spec in manifest.signature.outputs}
        for output in request.outputs:
            if output.name not in known:
                raise _wrong(f"output {output.name[:128]!r}", "unknown", f"one of {sorted(known)}")


def _response(
    request: oip.ModelInferRequest, answer: Prediction | Predictions
) -> oip.ModelInferResponse:
    """Return the response but for its outputs."""
    response = oip.ModelInferResponse(
        model_name=request.model_name, model_version=answer.version, id=answer.request_id
    )
    response.parameters["gnomon_digest"].string_param = answer.digest
    if answer.fallback is not None:
        response.parameters["gnomon_fallback"].string_param = answer.fallback
        response.parameters["gnomon_fallback_by"].string_param = answer.fallback_by or ""
    if answer.violations:
        text = msgspec.json.encode([asdict(one) for one in answer.violations], enc_hook=str)
        response.parameters["gnomon_violations"].string_param = text.decode()
    return response


def _column(value: Any) -> NDArray[Any]:
    """Return one row's value as a column."""
    return np.array([value], object if isinstance(value, str | None) else None)


def _metadata(spec: Any) -> oip.ModelMetadataResponse.TensorMetadata:
    return oip.ModelMetadataResponse.TensorMetadata(
        name=spec.name, datatype=spec.datatype, shape=spec.shape
    )


def _time(request: oip.ModelInferRequest) -> datetime | float | None:
    """Return the data's own time, where the request says it."""
    if "at" not in request.parameters:
        return None
    parameter = request.parameters["at"]
    return read_time(getattr(parameter, parameter.WhichOneof("parameter_choice") or "string_param"))


def check_id(request_id: str) -> None:
    """Refuse a request's id that is too long to be kept.

    Raises:
        InvalidInput: it is.
    """
    if len(request_id) > _ID_CHARACTERS:
        raise _wrong("id", request_id, f"at most {_ID_CHARACTERS} characters")


def read_time(value: bool | int | float | str) -> datetime | float:
    """Return the data's own time from what a request says.

    Raises:
        InvalidInput: it is neither an ISO 8601 text nor epoch seconds.
    """
    expected = "an ISO 8601 text or epoch seconds"
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else float(value)
    except ValueError as error:
        raise _wrong("parameter 'at'", value, expected) from error
    if isinstance(value, bool) or (isinstance(moment, float) and not math.isfinite(moment)):
        raise _wrong("parameter 'at'", value, expected)
    return moment


def _text(request: oip.ModelInferRequest, name: str) -> str | None:
    if name not in request.parameters:
        return None
    parameter = request.parameters[name]
    if parameter.WhichOneof("parameter_choice") != "string_param":
        raise _wrong(f"parameter {name!r}", "no text", "a text")
    return str(parameter.string_param)


def _wrong(what: str, value: object, expected: str) -> InvalidInput:
    shown = str(value)[:80]
    return InvalidInput(
        f"{what} is {shown!r}; right would be {expected}",
        details=[{"field": what, "rule": "request", "value": shown, "expected": expected}],
    )
