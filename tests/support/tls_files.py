"""Certificates for doors and clients, in a test's folder."""

import ssl
from pathlib import Path
from typing import Any

import grpc

from gnomon.runtime.enrolment.identity import IdentityFolder, key_pem
from gnomon.server.hub.access.authority import Authority, read_request


class TlsFiles:
    """An authority, a door's files, and clients that it has certified."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.authority = Authority.in_folder(folder)
        self.certificate, self.key = folder / "door.pem", folder / "door.key"
        self.renew()

    def renew(self) -> bytes:
        """Write a new key and certificate; return the certificate."""
        key, chain = self.authority.issue_server()
        self.key.write_bytes(key)
        self.certificate.write_bytes(chain)
        return chain

    def settings(self, *, asks_clients: bool = False) -> dict[str, Any]:
        """Return the settings of a door with these files."""
        files: dict[str, Any] = {"certificate_file": self.certificate, "key_file": self.key}
        if asks_clients:
            files["client_authority_file"] = self.folder / "authority.pem"
        return files

    def client(self, name: str, *, elsewhere: bool = False) -> tuple[Path, Path]:
        """Return the files of a client's certificate and key, by this authority or another."""
        authority = self.authority
        if elsewhere:
            (self.folder / "elsewhere").mkdir(exist_ok=True)
            authority = Authority.in_folder(self.folder / "elsewhere")
        identity = IdentityFolder(self.folder / f"client-{name}-{elsewhere}")
        issued, _ = authority.issue_client(read_request(identity.request(name)), "node", 1)
        certificate = self.folder / f"{name}-{elsewhere}.pem"
        key = self.folder / f"{name}-{elsewhere}.key"
        certificate.write_bytes(issued)
        key.write_bytes(key_pem(identity.key()))
        return certificate, key

    def credentials(self, name: str | None = None, **options: Any) -> Any:
        """Return grpcio's credentials for a client, with a certificate if it has a name."""
        root = self.authority.certificate_pem
        if name is None:
            return grpc.ssl_channel_credentials(root)
        certificate, key = self.client(name, **options)
        return grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())

    def context(self, *protocols: str, name: str | None = None) -> ssl.SSLContext:
        """Return a context of Python's, which offers these protocols."""
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if name is not None:
            context.load_cert_chain(*self.client(name))
        return context
