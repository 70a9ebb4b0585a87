"""The service `Sync`: nodes report, get their desired state, fetch content and send telemetry."""

from collections.abc import Iterator

import grpc

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.access import nodes
from gnomon.server.hub.access.authority import NODE
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.fleet.desired_cache import DesiredStates
from gnomon.server.hub.fleet.node_content import NodeContent
from gnomon.server.hub.fleet.unchanged_exchanges import UnchangedExchanges
from gnomon.server.hub.grpc import interceptor
from gnomon.server.hub.ingest.telemetry import RecordsMissing, Telemetry
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.trust.repository import TrustRepository

#: So that one slow reader holds one thread for a bounded time.
MAXIMUM_BLOBS = 256


class SyncServicer(hub_pb2_grpc.SyncServicer):
    """The service `Sync` of hub.proto. Safe to call from many threads."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        telemetry: Telemetry,
        trust: TrustRepository,
        unchanged: UnchangedExchanges,
    ) -> None:
        """Serve nodes.

        Args:
            database: of the hub.
            blobs: the packages' content.
            telemetry: takes what nodes upload.
            trust: signs desired states and the metadata behind them.
            unchanged: answers nodes that report the same again.
        """
        self._database = database
        self._blobs = blobs
        self._telemetry = telemetry
        self._trust = trust
        self._unchanged = unchanged
        self._states = DesiredStates(desired.build)
        self._content = NodeContent(database)

    def Exchange(  # noqa: N802
        self, request: hub_pb2.ExchangeRequest, context: grpc.ServicerContext
    ) -> hub_pb2.ExchangeResponse:
        """Store a node's report and return its desired state, signed if the node knows metadata."""
        name = interceptor.identity_of(context).name
        response = self._unchanged.find(name, request)
        if response is None:
            begun = self._unchanged.begin()
            response = self._exchange(name, request)
            self._unchanged.keep(name, request, response, begun)
        response.hub_time_unix_ms = now_ms()
        return response

    def _exchange(self, name: str, request: hub_pb2.ExchangeRequest) -> hub_pb2.ExchangeResponse:
        response = hub_pb2.ExchangeResponse(call_again_ms=self._unchanged.node_call_ms)
        self._trust.take(request)
        state = self._desired_state(name, request)
        if request.metadata_versions:
            state.node = name
            response.signed.CopyFrom(self._trust.sign(state))
            self._trust.offer(request, response)
        else:
            response.desired.CopyFrom(state)
        response.watermarks.update(self._telemetry.find_lost(name, request.acknowledged))
        return response

    def _desired_state(self, name: str, request: hub_pb2.ExchangeRequest) -> hub_pb2.DesiredState:
        """Store a report and return the desired state that follows from the newest metadata."""
        proved = self._trust.find_proved(name, request)
        while True:
            with self._database.write() as connection:
                if self._trust.is_current(connection):
                    nodes.report(connection, name, request)
                    return desired.for_node(connection, name, request, self._states, proved)
            self._trust.current()

    def GetBlobs(  # noqa: N802
        self, request: hub_pb2.GetBlobsRequest, context: grpc.ServicerContext
    ) -> Iterator[hub_pb2.Blob]:
        """Stream content, in the order of the request."""
        if len(request.digests) > MAXIMUM_BLOBS:
            raise InvalidInput(f"{len(request.digests)} blobs in one call; at most {MAXIMUM_BLOBS}")
        caller = interceptor.identity_of(context)
        if caller.role == NODE:
            self._content.check(caller.name, list(request.digests))
        for digest in request.digests:
            yield hub_pb2.Blob(digest=digest, data=self._blobs.get(digest))

    def Upload(  # noqa: N802
        self, request: hub_pb2.UploadRequest, context: grpc.ServicerContext
    ) -> hub_pb2.UploadResponse:
        """Store telemetry."""
        node = interceptor.identity_of(context).name
        try:
            watermark = self._telemetry.upload(
                node,
                request.boot,
                request.records,
                acknowledged=request.acknowledged,
                kept_from=request.kept_from,
            )
        except RecordsMissing as missing:
            return hub_pb2.UploadResponse(watermark=missing.watermark, send_again=True)
        return hub_pb2.UploadResponse(watermark=watermark)
