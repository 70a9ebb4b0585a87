"""A stream's process: a node and a consumer, until the source ends or SIGTERM."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone.standalone_node import NodeProtocol, open_node
from gnomon.runtime.errors import ConfigurationError, NotReady
from gnomon.server.streams.addresses import open_sink, open_source
from gnomon.server.streams.consumer import Consumer, StreamCounts
from gnomon.server.streams.scoring import Scorer
from gnomon.server.streams.settings import StreamSettings


def consume(settings: StreamSettings, node_settings: NodeSettings) -> StreamCounts:
    """Consume until the source ends, or SIGTERM or SIGINT.

    Raises:
        ConfigurationError: an address is invalid, or no broker answers there.
        NotReady: no model came into service in time.
        StorageError: a disk failed; the next consumer reads again what was not committed.
    """
    with ExitStack() as opened:
        node = open_node(node_settings)
        opened.callback(node.stop)
        node.start()
        route = _route(node, settings)
        sink = opened.enter_context(closing(open_sink(settings.sink, settings)))
        refusals = sink
        if settings.refused and settings.refused != settings.sink:
            refusals = opened.enter_context(closing(open_sink(settings.refused, settings)))
        source = opened.enter_context(closing(open_source(settings)))
        consumer = Consumer(
            source,
            Scorer(node.runtime, route, settings),
            sink,
            refusals,
            max_rows=settings.max_rows,
            max_delay_seconds=settings.max_delay_seconds,
        )
        with _heeded(consumer.stop):
            return consumer.run()


@contextmanager
def _heeded(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT while the context is open."""
    before = {
        number: signal.signal(number, lambda *_: stop())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _route(node: NodeProtocol, settings: StreamSettings) -> str:
    """Return the route that answers.

    Raises:
        ConfigurationError: there are several, and the settings name none.
        NotReady: none is in service in time.
    """
    if not node.ready(settings.wait_seconds):
        status = node.status()
        raise NotReady(
            f"no model is in service after {settings.wait_seconds:g} s: "
            + (status.reason or status.last_error or "the hub has assigned no model yet")
        )
    routes = sorted(node.runtime.routes)
    if settings.model or len(routes) == 1:
        return settings.model or routes[0]
    raise ConfigurationError(f"say which model is meant; in service are {', '.join(routes)}")
