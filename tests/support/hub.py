"""A real hub on free ports, and whoever speaks with it over real TLS and HTTP."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.enrolment.identity import key_pem
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.local_hub import find_local_hub, read_key
from gnomon.runtime.packages.package import Package
from gnomon.runtime.wire import read_error
from gnomon.server.hub.settings import HubAddresses, HubSettings

CALL_SECONDS = 20


#: A hub that was killed is tried again soon.
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 10_000),  # how long an attempt may take
    ("grpc.max_reconnect_backoff_ms", 200),
)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate_request(key: Any, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def local_key_of(rest: str) -> dict[str, str]:
    """Return the header with the key of a hub that this user runs."""
    found = find_local_hub(rest)
    assert found is not None, "the hub has recorded its address"
    return {"authorization": f"Bearer {read_key(found)}"}


def call(method: Any, request: Any) -> Any:
    """Call, and raise the error that the hub named; another failure stays gRPC's."""
    try:
        return method(request, timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        known = read_error(error.details() or "", error.trailing_metadata() or ())
        if isinstance(known, GnomonError):
            raise known from error
        raise


@dataclass
class Party:
    """Somebody with a certificate (or without one), and the stubs that they call."""

    channel: grpc.Channel

    def __post_init__(self) -> None:
        self.sync = hub_pb2_grpc.SyncStub(self.channel)
        self.registry = hub_pb2_grpc.RegistryStub(self.channel)
        self.enrolment = hub_pb2_grpc.EnrolmentStub(self.channel)

    def enrol(self, token: str, key: Any, name: str) -> hub_pb2.EnrollResponse:
        request = certificate_request(key, name)
        message = hub_pb2.EnrollRequest(token=token, certificate_request=request)
        return call(self.enrolment.Enroll, message)

    def exchange(self, **fields: Any) -> hub_pb2.ExchangeResponse:
        return call(self.sync.Exchange, hub_pb2.ExchangeRequest(boot="b", **fields))

    def upload(self, *records: hub_pb2.Record | bytes, boot: str = "b") -> int:
        data = [one if isinstance(one, bytes) else one.SerializeToString() for one in records]
        request = hub_pb2.UploadRequest(boot=boot, records=data)
        return call(self.sync.Upload, request).watermark

    def blobs(self, *digests: str) -> list[bytes]:
        def fetch(request: Any, timeout: float) -> list[bytes]:
            return [blob.data for blob in self.sync.GetBlobs(request, timeout=timeout)]

        return call(fetch, hub_pb2.GetBlobsRequest(digests=digests))

    def put(self, *blobs: tuple[str, bytes]) -> int:
        stream = iter([hub_pb2.Blob(digest=digest, data=data) for digest, data in blobs])
        return call(self.registry.PutBlobs, stream).stored

    def publish(self, package: Package) -> hub_pb2.PublishResponse:
        self.put(*package.iter_blobs())
        return self.publish_digest(package.digest, *package.envelopes)

    def ask(self, operation: str, **parameters: Any) -> Any:
        request = hub_pb2.Question(operation=operation, parameters=json.dumps(parameters).encode())
        return json.loads(call(self.registry.Ask, request).value)

    def registry_call(self, method: str, request: Any) -> Any:
        """Call a typed method of the registry."""
        return call(getattr(self.registry, method), request)

    def publish_digest(self, digest: str, *envelopes: bytes) -> hub_pb2.PublishResponse:
        request = hub_pb2.PublishRequest(digest=digest, envelopes=envelopes)
        return call(self.registry.Publish, request)


class Caller:
    """Whoever knows a hub's addresses and may use its REST interface."""

    def __init__(self, addresses: HubAddresses) -> None:
        self.addresses = addresses
        # Without TLS nothing is verified; reading all authorities takes 23 ms of CPU a client.
        self.http = httpx.Client(
            base_url=addresses.rest,
            headers=local_key_of(addresses.rest),
            timeout=CALL_SECONDS,
            trust_env=False,
            verify=False,
        )
        self._channels: list[grpc.Channel] = []

    def get(self, path: str, **parameters: Any) -> Any:
        return self.http.get(f"/api/v1/{path}", params=parameters).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/api/v1/{path}", json=body).raise_for_status().json()

    def token(self, role: str, name: str | None = None) -> dict[str, Any]:
        return self.post("tokens", role=role, name=name)

    def stranger(self, token: dict[str, Any], address: str | None = None) -> Party:
        credentials = grpc.ssl_channel_credentials(token["authority"].encode())
        return self._party(address or token["enrolment"], credentials)

    def enrol(self, role: str, name: str) -> Party:
        token, key = self.token(role, name), new_key()
        answer = self.stranger(token).enrol(token["token"], key, name)
        return self.known(answer.authority, key, answer.certificate)

    def known(self, authority: bytes, key: Any, certificate: bytes) -> Party:
        credentials = grpc.ssl_channel_credentials(authority, key_pem(key), certificate)
        return self._party(self.addresses.sync, credentials)

    def _party(self, address: str, credentials: grpc.ChannelCredentials) -> Party:
        self._channels.append(grpc.secure_channel(address, credentials, OPTIONS))
        return Party(self._channels[-1])

    def close(self) -> None:
        self.http.close()
        for channel in self._channels:
            channel.close()


def settings_in(folder: Path) -> HubSettings:
    return HubSettings(
        data_folder=folder,
        rest_port=0,
        enrolment_port=0,
        sync_port=0,
        tick_seconds=3_600,
        node_call_ms=250,
    )
