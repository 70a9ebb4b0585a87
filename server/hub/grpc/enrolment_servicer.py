"""Enrolment over gRPC: with a token, or to renew a certificate."""

import grpc

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.server.hub.access.certificate_issuer import CertificateIssuer
from gnomon.server.hub.grpc import interceptor


class EnrolmentServicer(hub_pb2_grpc.EnrolmentServicer):
    """The service `Enrolment` of hub.proto. Safe to call from many threads."""

    def __init__(self, enrolment: CertificateIssuer) -> None:
        self._enrolment = enrolment

    def Enroll(  # noqa: N802
        self, request: hub_pb2.EnrollRequest, context: grpc.ServicerContext
    ) -> hub_pb2.EnrollResponse:
        """Enrol a caller without a certificate, or renew the certificate of one who has one."""
        identity = interceptor.caller_of(context)
        if identity is None:
            return self._enrolment.enrol(request)
        return self._enrolment.renew(identity, request)
