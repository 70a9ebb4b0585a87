"""The interceptor of every gRPC method: checks the caller's right and maps errors to statuses.

Default deny: a method that no rule names cannot be called. The caller is who the client certificate
says, provided that the name is still enrolled. Requests are decoded after the check, so that a
malformed one gets a typed error too; the text of an unexpected error stays in the hub's log. All
methods are registered as streams of requests: grpc would wait for the message of a call in a thread
before anything of ours has run.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import structlog

from gnomon.runtime import wire
from gnomon.runtime.errors import GnomonError, InvalidInput, NotAllowed
from gnomon.server.hub.access.authority import BUILDER, NODE, CertificateIdentity, read_identity
from gnomon.server.hub.access.enrolled import EnrolledCallers
from gnomon.server.hub.grpc.call_limits import CallLimits, address_of
from gnomon.server.hub.ingest.quotas import Quota, Quotas
from gnomon.server.hub.store.clock import new_id
from gnomon.server.rest.handshake_watch import HandshakeWatch

_log = structlog.get_logger(__name__)

#: Who may call what with a certificate.
RULES: Mapping[str, frozenset[str]] = {
    "/gnomon.v1.Enrolment/Enroll": frozenset({NODE, BUILDER}),  # renewal
    "/gnomon.v1.Sync/Exchange": frozenset({NODE}),
    "/gnomon.v1.Sync/GetBlobs": frozenset({NODE, BUILDER}),
    "/gnomon.v1.Sync/Upload": frozenset({NODE}),
    "/gnomon.v1.Registry/FindMissing": frozenset({BUILDER}),
    "/gnomon.v1.Registry/PutBlobs": frozenset({BUILDER}),
    "/gnomon.v1.Registry/Publish": frozenset({BUILDER}),
    "/gnomon.v1.Registry/ListModels": frozenset({BUILDER}),
    "/gnomon.v1.Registry/ListVersions": frozenset({BUILDER}),
    "/gnomon.v1.Registry/GetVersion": frozenset({BUILDER}),
    "/gnomon.v1.Registry/SearchVersions": frozenset({BUILDER}),
    "/gnomon.v1.Registry/ListAliases": frozenset({BUILDER}),
    "/gnomon.v1.Registry/GetAlias": frozenset({BUILDER}),
    "/gnomon.v1.Registry/GetLineage": frozenset({BUILDER}),
    "/gnomon.v1.Registry/CompareVersions": frozenset({BUILDER}),
    "/gnomon.v1.Registry/GetStateAt": frozenset({BUILDER}),
    "/gnomon.v1.Registry/ListPlacements": frozenset({BUILDER}),
    "/gnomon.v1.Registry/ListEnvironments": frozenset({BUILDER}),
    "/gnomon.v1.Registry/ListApprovals": frozenset({BUILDER}),
    "/gnomon.v1.Registry/SetAlias": frozenset({BUILDER}),
    "/gnomon.v1.Registry/SetTags": frozenset({BUILDER}),
    "/gnomon.v1.Registry/RecordRun": frozenset({BUILDER}),
    "/gnomon.v1.Registry/Ask": frozenset({BUILDER}),
}

#: What may be called on the port that requires no certificate.
OPEN = frozenset({"/gnomon.v1.Enrolment/Enroll"})


def caller_of(context: grpc.ServicerContext) -> CertificateIdentity | None:
    """Return the caller by the certificate that TLS has verified; None on the open port."""
    certificates = context.auth_context().get("x509_pem_cert")
    return read_identity(certificates[0]) if certificates else None


def identity_of(context: grpc.ServicerContext) -> CertificateIdentity:
    """Return the caller, on a port that requires certificates.

    Raises:
        NotAllowed: if there is no certificate.
    """
    identity = caller_of(context)
    if identity is None:
        raise NotAllowed("this call needs a client certificate")
    return identity


_Enter = Callable[[grpc.ServicerContext], AbstractContextManager[None]]


class AccessInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """The interceptor of a port; `unauthenticated`: of the one that requires no certificate."""

    def __init__(
        self,
        enrolled: EnrolledCallers,
        limits: CallLimits,
        quotas: Quotas,
        watch: HandshakeWatch,
        *,
        unauthenticated: bool,
    ) -> None:
        self._enrolled = enrolled
        self._limits = limits
        self._quotas = quotas
        self._watch = watch
        self._unauthenticated = unauthenticated

    def intercept_service(self, continuation: Callable[[Any], Any], call: Any) -> Any:
        """Wrap the method's handler in the check and in the mapping of errors."""
        handler = continuation(call)
        if handler is None:
            return None
        method = call.method

        @contextmanager
        def enter(context: grpc.ServicerContext) -> Iterator[None]:
            with self._limits.hold(self._check(method, context)):
                yield

        return _guarded(handler, method, enter, self._limits)

    def _check(self, method: str, context: grpc.ServicerContext) -> str:
        """Check that a caller may call a method; return the caller's name or address."""
        self._watch.note_call(str(context.peer()))
        if self._unauthenticated:
            if method not in OPEN:
                raise NotAllowed(f"{method} needs a client certificate; enrol first")
            return address_of(context)
        identity = identity_of(context)
        if identity.role not in RULES.get(method, ()):
            raise NotAllowed(f"{identity.role} {identity.name!r} may not call {method}")
        # Before anything is read from the database. Only this hub's certificates come here, so
        # strangers cannot make up names that are counted.
        self._quotas.spend(identity.name, Quota.CALLS)
        self._enrolled.check(identity, renews=method in OPEN)
        return f"{identity.role} {identity.name!r}"


def _guarded(handler: Any, method: str, enter: _Enter, limits: CallLimits) -> Any:
    """Return the handler behind the check; its requests come as bytes, in a stream."""
    decode = _decoder(handler.request_deserializer)

    def request_of(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        if handler.request_streaming:
            return limits.read(messages, context, decode)
        return decode(limits.read_one(messages, context))

    def answer_one(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        try:
            with enter(context):
                behavior = handler.stream_unary or handler.unary_unary
                return behavior(request_of(messages, context), context)
        except Exception as error:
            _refuse(method, context, error)

    def answer_many(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            with enter(context):
                answers = handler.unary_stream(request_of(messages, context), context)
                yield from limits.write(answers, context)
        except Exception as error:
            _refuse(method, context, error)

    serializer = handler.response_serializer
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(answer_many, None, serializer)
    return grpc.stream_unary_rpc_method_handler(answer_one, None, serializer)


def _decoder(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        try:
            return deserialize(data)
        except Exception as error:
            raise InvalidInput("the request is not a valid message of this call") from error

    return decode


def _refuse(method: str, context: grpc.ServicerContext, error: Exception) -> None:
    """End the call with the error's name on the wire."""
    if isinstance(error, grpc.RpcError) or not context.is_active():
        raise error  # the caller is gone, so no error can be returned
    if not isinstance(error, GnomonError):
        reference = new_id()
        _log.error("call_failed", method=method, reference=reference, exc_info=error)
        error = GnomonError(f"the hub failed; its log tells why under {reference}")
    context.set_trailing_metadata(wire.trailing_metadata(error))
    context.abort(grpc.StatusCode[wire.status_name(error)], wire.message_of(error))
