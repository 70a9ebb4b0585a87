"""Ask a server for predictions: rows in, answers out, over gRPC.

`Client` blocks, `AsyncClient` is for asyncio. Both live beside tritonclient in one process.
"""

from gnomon.client.aio import AsyncClient
from gnomon.client.codec import Answer
from gnomon.client.sync import Client

__all__ = ["Answer", "AsyncClient", "Client"]
