"""The open streaming calls of the native frontend, each with its own lock.

The lock is held while a message is answered. Another thread that sends to the call, or ends it,
waits for the lock. An ended call is left unchanged. A call whose client has left disappears without
notice, so calls are held by weak references only.
"""

import contextlib
import threading
from collections.abc import Callable, MutableMapping
from weakref import WeakKeyDictionary

from gnomon.runtime.errors import GnomonError
from gnomon.server.serving.grpc_trailers import trailers_of
from gnomon.server.serving.methods import refusal_of
from gnomon.server.serving.native.loop import Call

#: Answers one message of a call, or its end; returns whether the call stays open.
Turn = Callable[[Call], bool]


class OpenCalls:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: MutableMapping[Call, threading.Lock] = WeakKeyDictionary()
        self._refusal: GnomonError | None = None

    def take(self, call: Call, turn: Turn) -> None:
        """Let a turn answer the message of a call; never raises."""
        with self._lock:
            if call.state is None:
                call.state = self._locks[call] = threading.Lock()
            refusal = self._refusal
        if refusal is not None:
            # It came while all were refused, perhaps too late to be among them.
            self.tell(call, lambda: self._refuse(call, refusal))
            return

        def answer() -> None:
            if turn(call):
                call.give_turn()
            else:
                self._forget(call)
                call.finish()

        self.tell(call, answer)

    def tell(self, call: Call, action: Callable[[], object]) -> None:
        """Run an action on a call unless it has ended; an error ends the call."""
        with call.state:
            if not self._is_open(call):
                return
            try:
                action()
            except Exception as error:
                # The client may leave at any moment between two messages.
                if not call.is_over:
                    self._refuse(call, error)

    def refuse_all(self, error: GnomonError) -> None:
        """End every call, each once its message is answered, and every one that comes later."""
        with self._lock:
            self._refusal = error
            calls = list(self._locks)
        for call in calls:
            self.tell(call, lambda call=call: self._refuse(call, error))  # type: ignore[misc]

    def _refuse(self, call: Call, error: Exception) -> None:
        if self._is_open(call):
            self._forget(call)
            with contextlib.suppress(RuntimeError):
                call.refuse(trailers_of(refusal_of(error)))

    def _is_open(self, call: Call) -> bool:
        with self._lock:
            return call in self._locks and not call.is_over

    def _forget(self, call: Call) -> None:
        with self._lock:
            self._locks.pop(call, None)
