"""The handler that all frontends share: Open Inference Protocol requests in, responses out.

Module `parameters` describes the parameters of a request. A response names the version that
answered, and has these parameters:

- `gnomon_digest`: the digest of the package;
- `gnomon_fallback` and `gnomon_fallback_by`: why a fallback answered, and which, if one did;
- `gnomon_violations`: JSON, if inputs or outputs were corrected or flagged;
- `gnomon_refused` and `gnomon_ids`: JSON, if the request allowed a partial answer.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput, NotReady, UnknownModel
from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.predicting.served_routes import ServedRoute
from gnomon.runtime.routing.routes import Route
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.infer_execution import infer, infer_partial
from gnomon.server.serving.labels import AddLabel
from gnomon.server.serving.parameters import (
    RequestParameters,
    check_id,
    check_served,
    read_parameters,
    wrong,
)
from gnomon.server.serving.responses import begin_response, tensor_metadata
from gnomon.server.serving.route_path import RoutePath
from gnomon.server.serving.tensors import decode_inputs, encode_outputs
from gnomon.server.serving.triton.model_config import config_of, platform_of
from gnomon.server.serving.triton.model_repository import ModelRepository
from gnomon.server.serving.triton.statistics import statistics_of

#: What a client may look for before it makes a call.
EXTENSIONS = (
    "gnomon",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "statistics",
)

#: Manifests that are kept of packages in service and of those that were.
_MANIFESTS_KEPT = 1_024


class Handler:
    """Answers for one runtime. Threads may share it.

    Methods raise the typed errors of `gnomon.runtime.errors`, which the frontends put on the wire.
    """

    def __init__(
        self,
        runtime: Runtime,
        repository: ModelRepository | None = None,
        add_label: AddLabel | None = None,
    ) -> None:
        self._runtime = runtime
        #: Keeps a label; None: the frontends take none.
        self.add_label = add_label
        self.repository = repository or ModelRepository(runtime)
        #: The path of each route's gRPC calls, as the front end for gRPC has decided. Replaced as a
        #: whole, never changed, so readers need no lock.
        self.paths: Mapping[str, RoutePath] = {}
        self._draining = False
        self._manifests: dict[str, Manifest] = {}
        # Before a package can be given up again it has been looked at, however short its service.
        runtime.watch(self._remember)

    @property
    def runtime(self) -> Runtime:
        """The runtime that answers."""
        return self._runtime

    def drain(self) -> None:
        """Report 'not ready' from now on; requests are still answered."""
        self._draining = True

    def has_route(self, name: str) -> bool:
        """Whether a route of that name is in service."""
        return self._runtime.has_route(name)

    def server_ready(self) -> bool:
        """Whether requests should be sent here: a model is in service, and no end is near."""
        return not self._draining and bool(self._runtime.routes)

    def server_metadata(self) -> oip.ServerMetadataResponse:
        """Return the server's name, version and extensions."""
        # Slow to import, and rarely needed.
        from importlib.metadata import version

        return oip.ServerMetadataResponse(
            name="gnomon", version=version("gnomon"), extensions=EXTENSIONS
        )

    def model_ready(self, request: oip.ModelReadyRequest) -> bool:
        """Whether a model, in the version if one is named, is in service."""
        if request.name not in self._runtime.routes:
            return False
        versions = [manifest.version for manifest in self._versions(request.name).values()]
        return self.server_ready() and request.version in ("", *versions)

    def known_model_ready(self, request: oip.ModelReadyRequest) -> bool:
        """As `model_ready`, of a model that is in service.

        Raises:
            UnknownModel: there is no such route, or it has no such version.
            NotReady: no model is in service yet.
        """
        self._manifests_for(request)
        return self.server_ready()

    def model_metadata(self, request: oip.ModelMetadataRequest) -> oip.ModelMetadataResponse:
        """Return the signature of a route's first target.

        Raises:
            UnknownModel: there is no such route, or it has no such version.
        """
        manifests = self._manifests_for(request)
        manifest = next(iter(manifests.values()))
        return oip.ModelMetadataResponse(
            name=request.name,
            versions=[one.version for one in manifests.values()],
            platform=platform_of(manifest),
            inputs=[tensor_metadata(spec) for spec in manifest.signature.inputs],
            outputs=[tensor_metadata(spec) for spec in manifest.signature.outputs],
        )

    def model_config(self, request: oip.ModelConfigRequest) -> oip.ModelConfigResponse:
        """Return the configuration of a route's first target.

        Raises:
            UnknownModel: there is no such route, or it has no such version.
        """
        digest, manifest = next(iter(self._manifests_for(request).items()))
        return oip.ModelConfigResponse(config=config_of(request.name, digest, manifest))

    def model_statistics(self, request: oip.ModelStatisticsRequest) -> oip.ModelStatisticsResponse:
        """Return the statistics of one model, or of all models in service.

        Raises:
            UnknownModel: there is no such route, or it has no such version.
        """
        wanted = [request.name] if request.name else sorted(self._runtime.routes)
        series_totals = self._runtime.series_totals()
        answer = oip.ModelStatisticsResponse()
        for name in wanted:
            query = oip.ModelStatisticsRequest(name=name, version=request.version)
            versions = {digest: one.version for digest, one in self._manifests_for(query).items()}
            answer.model_stats.extend(statistics_of(name, versions, series_totals))
        return answer

    def infer(
        self,
        request: oip.ModelInferRequest,
        read_ns: int | None = None,
        bucket: int | None = None,
    ) -> oip.ModelInferResponse:
        """Predict. A rejected request is counted as refused.

        Args:
            request: The request.
            read_ns: When it was read, ns of `time.perf_counter_ns`; None: just now.
            bucket: Its traffic bucket, 0 to 999, if the frontend has already chosen it; None: not
                yet.

        Raises:
            Overloaded: the request has waited longer than its timeout.
            GnomonError: as `Runtime.predict_columns`; `InvalidInput` also if it cannot be read.
        """
        self._check_version(request)
        options: dict[str, Any] = {
            "request_id": request.id[:STORED_ID_CHARACTERS] or None,
            "version": request.model_version,
            "bucket": bucket,
        }
        parameters, columns = self._read(request, options)
        if read_ns is not None:
            parameters.check_wait(request.model_name, time.perf_counter_ns() - read_ns)
        self._manifests_of(self._route(request.model_name).digests)
        execute = infer_partial if parameters.is_partial else infer
        answered = execute(self._runtime, request.model_name, columns, options)
        (manifest,) = self._manifests_of([answered.answer.digest])
        response = begin_response(request, answered)
        wanted = [output.name for output in request.outputs]
        specs = manifest.signature.outputs
        chosen = [spec for spec in specs if not wanted or spec.name in wanted]
        raw = bool(request.raw_input_contents)
        encode_outputs(chosen, answered.outputs, response, raw=raw)
        return response

    def _read(
        self, request: oip.ModelInferRequest, options: dict[str, Any]
    ) -> tuple[RequestParameters, Mapping[str, NDArray[Any]]]:
        """Return a request's parameters and columns; fill in the runtime's options."""
        try:
            check_id(request.id)
            parameters = read_parameters(request)
            options["at"], options["key"] = parameters.at, parameters.key
            columns = decode_inputs(request)
            self._check_outputs(request)
        except InvalidInput:
            self.count_unread(request.model_name, **options)
            raise
        return parameters, columns

    def run_shadows(self, message: bytes, request_id: str, at: float) -> None:
        """Run the shadows of a request that the native loops have answered, at epoch seconds."""
        request = oip.ModelInferRequest.FromString(message)
        columns = decode_inputs(request)
        self._runtime.run_shadows(request.model_name, columns, request_id=request_id, at=at)

    def count_unread(self, model: str, **options: Any) -> None:
        """Count a request that never became columns, as a request without rows is counted.

        `options` are those of `Runtime.predict_columns`.
        """
        with contextlib.suppress(InvalidInput):
            self._runtime.predict_columns(model, {}, **options)

    def _route(self, name: str) -> Route:
        route = self._runtime.routes.get(name)
        if route is None:
            self._runtime.check_started()
            known = ", ".join(sorted(self._runtime.routes)) or "none yet"
            raise UnknownModel(f"no model {name[:80]!r} is in service here; in service: {known}")
        return route

    def _versions(self, name: str) -> dict[str, Manifest]:
        """Return the manifests that clients may use, by digest; the route's own targets first."""
        route = self._route(name)
        shares = [target.digest for target in route.targets if target.weight]
        digests = list(dict.fromkeys([*shares, *route.versions]))
        return dict(zip(digests, self._manifests_of(digests), strict=True))

    def _manifests_for(self, request: Any) -> dict[str, Manifest]:
        """Return as `_versions`, limited to the requested version, if any.

        Raises:
            UnknownModel: there is no such route, or it has no such version.
        """
        manifests = self._versions(request.name)
        if request.version:
            manifests = {d: one for d, one in manifests.items() if one.version == request.version}
        if not manifests:
            raise UnknownModel(f"model {request.name!r} has no version {request.version[:80]!r}")
        return manifests

    def _remember(self, served: Mapping[str, ServedRoute]) -> None:
        """Keep the manifests of what is in service, and of as much of the past as may be needed."""
        models = self._runtime.models
        for one in served.values():
            for digest in one.route.digests:
                self._manifests.pop(digest, None)
                self._manifests[digest] = models[digest].package.manifest
        for digest in list(self._manifests)[:-_MANIFESTS_KEPT]:
            self._manifests.pop(digest, None)

    def _manifests_of(self, digests: Sequence[str]) -> list[Manifest]:
        """Return manifests, also of packages that left service recently and may still answer.

        Raises:
            NotReady: a package left service, and its manifest was dropped since.
        """
        found = []
        for digest in digests:
            manifest = self._manifests.get(digest)
            if manifest is None:
                # In service so recently that the watcher was not called yet.
                model = self._runtime.models.get(digest)
                manifest = model.package.manifest if model else self._manifests.get(digest)
            if manifest is None:
                raise NotReady(f"package {digest[:16]} is leaving service; try again")
            found.append(manifest)
        return found

    def _check_version(self, request: oip.ModelInferRequest) -> None:
        """Refuse a version that the route does not have."""
        route = self._route(request.model_name)
        if not request.model_version:
            return
        versions = [manifest.version for manifest in self._versions(route.name).values()]
        if request.model_version not in versions:
            raise UnknownModel(
                f"model {route.name!r} is in service as version {' and '.join(versions)}, not as "
                f"{request.model_version[:80]!r}; leave model_version empty to take what is there"
            )

    def _check_outputs(self, request: oip.ModelInferRequest) -> None:
        if not request.outputs:
            return
        manifests = self._versions(request.model_name)
        known = {
            spec.name for manifest in manifests.values() for spec in manifest.signature.outputs
        }
        for output in request.outputs:
            check_served(output.name, output.parameters)
            if output.name not in known:
                raise wrong(f"output {output.name[:128]!r}", "unknown", f"one of {sorted(known)}")
