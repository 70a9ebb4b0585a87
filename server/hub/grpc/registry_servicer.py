"""The registry over gRPC: builders put blobs, publish packages, read and name versions."""

from collections.abc import Iterable

import grpc

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.server.hub.grpc import interceptor, operations
from gnomon.server.hub.grpc.registry_operations import RegistryOperations
from gnomon.server.hub.ingest.quotas import Quotas
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.registry import Registry


class RegistryServicer(RegistryOperations, hub_pb2_grpc.RegistryServicer):
    """The service `Registry` of hub.proto. Safe to call from many threads."""

    def __init__(self, database: Database, registry: Registry, quotas: Quotas) -> None:
        super().__init__(database)
        self._quotas = quotas
        self._registry = registry

    def FindMissing(  # noqa: N802
        self, request: hub_pb2.FindMissingRequest, context: grpc.ServicerContext
    ) -> hub_pb2.FindMissingResponse:
        """Return which blobs are missing."""
        missing = self._registry.find_missing(request.digests)
        return hub_pb2.FindMissingResponse(digests=missing)

    def PutBlobs(  # noqa: N802
        self, request: Iterable[hub_pb2.Blob], context: grpc.ServicerContext
    ) -> hub_pb2.PutBlobsResponse:
        """Store blobs."""
        builder = interceptor.identity_of(context).name
        blobs = ((blob.digest, blob.data) for blob in request)
        stored = self._registry.put_blobs(self._quotas.metered(builder, blobs))
        return hub_pb2.PutBlobsResponse(stored=stored)

    def Publish(  # noqa: N802
        self, request: hub_pb2.PublishRequest, context: grpc.ServicerContext
    ) -> hub_pb2.PublishResponse:
        """Publish a package."""
        publisher = self._builder(context)
        package, created = self._registry.publish(publisher, request.digest, request.envelopes)
        return hub_pb2.PublishResponse(package=package, created=created)

    def Ask(  # noqa: N802
        self, request: hub_pb2.Question, context: grpc.ServicerContext
    ) -> hub_pb2.Answer:
        """Answer an operation by its name, with JSON; deprecated."""
        actor = self._builder(context)
        value = operations.ask(self._database, actor, request.operation, request.parameters)
        return hub_pb2.Answer(value=value)
