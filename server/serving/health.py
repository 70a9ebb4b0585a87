"""The standard gRPC health service and reflection, for probes and tools.

Health is open to all and follows the handler: NOT_SERVING from the first moment of a drain.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gnomon.server.serving.handler import Handler

#: Seconds between two checks for a client that watches.
WATCH_SECONDS = 0.2

_STATUS = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Reports the server's status, under no name or its service's name."""

    def __init__(self, handler: Handler, service: str) -> None:
        self._handler = handler
        self._service = service

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer once; a service that is not here is NOT_FOUND."""
        if request.service not in ("", self._service):
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _STATUS(status=self._status(request.service))

    async def Watch(self, request: Any, _context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Answer now and at each change."""
        sent = None
        while True:
            status = self._status(request.service)
            if status != sent:
                yield _STATUS(status=status)
                sent = status
            await asyncio.sleep(WATCH_SECONDS)

    def _status(self, service: str) -> int:
        return status_of(self._handler, service, self._service)


def status_of(handler: Handler, service: str, known: str) -> int:
    """Return the status of the service `service`; "" and `known` name this server."""
    if service not in ("", known):
        return int(_STATUS.SERVICE_UNKNOWN)
    return int(_STATUS.SERVING if handler.server_ready() else _STATUS.NOT_SERVING)


def service_names(service: str) -> tuple[str, ...]:
    """Return the names of all services of a server: its own, health, reflection."""
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    return (service, health, reflection.SERVICE_NAME)


def install(server: Any, handler: Handler, service: str) -> None:
    """Add health to a gRPC server that is not yet started."""
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(handler, service), server)


def install_reflection(server: Any, service: str) -> None:
    """Add reflection to a gRPC server that is not yet started."""
    reflection.enable_server_reflection(service_names(service), server)
