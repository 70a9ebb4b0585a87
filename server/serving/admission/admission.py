"""Admission of calls, in the same order at every frontend.

authentication → throttling → input contract → model → output contract. The last three steps are
the runtime's. A call that is refused, fails or is slow leaves one line in the log. The line holds
no value of the request.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import structlog

from gnomon.runtime.errors import Fault, GnomonError, NotAllowed, Overloaded
from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.server.serving.admission.admitted_call import AdmittedCall
from gnomon.server.serving.admission.authentication import LOCAL, Authentication, Caller
from gnomon.server.serving.admission.clients import ANSWERED, FAILED, REFUSED, REJECTED, Clients
from gnomon.server.serving.admission.exemplars import TracedCall
from gnomon.server.serving.admission.throttling import Throttle
from gnomon.server.serving.admission.tokens import Tokens
from gnomon.server.serving.admission.tracing import Tracing, make_tracing
from gnomon.server.serving.rate_limits import RateLimits
from gnomon.server.serving.settings import FrontendSettings

_log = structlog.get_logger("gnomon.serving")

#: Most lines a second; suppressed lines are counted, and the next line has their number.
_LINES_PER_SECOND = 50
_RULES_SHOWN = 10


class RouteLookup(Protocol):
    """Tells whether a route is in service."""

    def has_route(self, name: str) -> bool:
        """Whether a route of that name is in service."""


class Admission:
    """Admits calls, and logs those that fail. Threads may share it.

    `is_known` tells whether a route is in service; all unknown routes share one throttle.
    `control_callers` are the names of callers that may load and unload models; None: no caller.
    """

    def __init__(
        self,
        authentication: Authentication,
        limits: RateLimits,
        *,
        is_known: Callable[[str], bool],
        slow_seconds: float = 1.0,
        control_callers: Collection[str] | None = None,
        tracing: Tracing | None = None,
        clients: Clients | None = None,
    ) -> None:
        self.authentication = authentication
        self.clients = clients or Clients()
        self._is_known = is_known
        self._control_callers = control_callers
        self._tracing = tracing
        self.throttle = Throttle(limits)
        self._slow_ns = round(slow_seconds * 1e9)
        self._lock = threading.Lock()
        self._rejected: Counter[str] = Counter()
        self._lines = Throttle(RateLimits(requests_per_second=_LINES_PER_SECOND))
        self._silent = 0

    @property
    def rejected(self) -> Mapping[str, int]:
        """Return how many calls never reached the runtime, by the error's code."""
        with self._lock:
            rejected = self._rejected.copy()
        # Calls that the native loops rejected without Python.
        if self.throttle.limiter.refused:
            rejected[Overloaded.code] += self.throttle.limiter.refused
        return dict(rejected)

    def identify(self, authorization: str | None, certificate_name: str | None = None) -> Caller:
        """Return the caller; counts failed authentications. Raises as `Authentication.identify`."""
        try:
            return self.authentication.identify(authorization, certificate_name)
        except GnomonError as error:
            self._count_rejected(error)
            raise

    def check_control(self, caller: Caller, what: str) -> None:
        """Allow a caller to load or unload models, and log the call.

        Raises:
            NotAllowed: the caller is not one of `control_callers`.
        """
        if self._control_callers is None:
            error = NotAllowed(
                "clients do not load or unload models here; the operator may allow it by "
                "model_control = 'explicit'"
            )
        elif caller.name not in self._control_callers:
            error = NotAllowed(
                f"caller {caller.name!r} may not load or unload models; the operator names those "
                "who may in control_callers"
            )
        else:
            _log.info("control_call", caller=caller.name, call=what)
            return
        self._count_rejected(error)
        raise error

    def admit(self, caller: Caller, call: AdmittedCall) -> "AdmissionContext":
        """Return the context of one call: entered at its start, left at its end.

        Entering raises:
            NotAllowed: the caller's key is not for this model.
            Overloaded: a limit is reached.
        """
        return AdmissionContext(self, caller, call)

    def enter(self, caller: Caller, call: AdmittedCall) -> str:
        """Let a call in; return what it is throttled by. Raises as `admit`."""
        call.is_known = self._is_known(call.route)
        throttled = call.route if call.is_known else ""
        try:
            caller.check(call.route)
            self.throttle.enter(caller.name, throttled)
        except GnomonError as error:
            self._count_rejected(error)
            self.clients.count(caller.name, throttled, "", REJECTED)
            self._tell("call_refused", caller, call, error)
            if self._tracing is not None:
                self._tracing.record(caller.name, call, error)
            raise
        return throttled

    def traced_calls(self, route: str, version: str) -> list[TracedCall]:
        """Return the newest traced requests that a version of a route answered."""
        return [] if self._tracing is None else self._tracing.exemplars.of(route, version)

    def close(self) -> None:
        """Hand over the spans that are left."""
        if self._tracing is not None:
            self._tracing.close()

    def leave(
        self, caller: Caller, call: AdmittedCall, throttled: str, error: BaseException | None
    ) -> None:
        """Count the end of a call; log it if it failed or was slow.

        Args:
            caller: who called.
            call: the call, as its frontend has filled it in.
            throttled: the name under which the throttle admitted the call.
            error: what ended it; None: it was answered.
        """
        self.throttle.leave(caller.name, throttled)
        if self._tracing is not None:
            self._tracing.record(caller.name, call, error)
        if isinstance(error, Overloaded):
            self._count_rejected(error)
        if error is None or isinstance(error, Exception):
            self.clients.count(caller.name, throttled, call.digest, _outcome(error))
        if error is None:
            if self._slow_ns and time.perf_counter_ns() - call.started_ns >= self._slow_ns:
                self._tell("call_slow", caller, call)
        elif isinstance(error, GnomonError):
            event = "call_refused" if error.fault is Fault.CALLER else "call_failed"
            self._tell(event, caller, call, error)
        elif isinstance(error, Exception):
            self._tell("call_failed", caller, call, GnomonError("unexpected"))

    def _count_rejected(self, error: GnomonError) -> None:
        with self._lock:
            self._rejected[error.code] += 1

    def _tell(
        self, event: str, caller: Caller, call: AdmittedCall, error: GnomonError | None = None
    ) -> None:
        try:
            self._lines.enter("", "")
            self._lines.leave("", "")
        except Overloaded:
            self._silent += 1
            return
        silent, self._silent = self._silent, 0
        facts = {"lines_left_out": silent} if silent else {}
        _log.warning(event, caller=caller.name, **_facts(call), **_why(error), **facts)


def make_admission(settings: FrontendSettings, handler: RouteLookup) -> Admission:
    """Return the admission that all frontends of a server share.

    Raises:
        ConfigurationError: a file of keys cannot be read.
    """
    known = Clients()
    tokens = settings.tokens
    others = () if tokens is None else (Tokens(tokens),)
    authentication = Authentication(
        settings.keys_file,
        *others,
        clients=known,
        needs_certificate=settings.client_authority_file is not None,
    )
    return Admission(
        authentication,
        settings.limits,
        is_known=handler.has_route,
        slow_seconds=settings.slow_seconds,
        tracing=make_tracing(settings.traces),
        control_callers=_control_callers(settings, authentication),
        clients=known,
    )


def _control_callers(
    settings: FrontendSettings, authentication: Authentication
) -> Collection[str] | None:
    """Return who may load and unload models; without names, any caller on this machine."""
    if settings.model_control == "none":
        return None
    if settings.control_callers:
        return settings.control_callers
    asks_names = authentication.needs_keys or settings.client_authority_file is not None
    nameless = settings.is_local and not asks_names
    return (LOCAL.name,) if nameless else ()


class AdmissionContext:
    """Context of one admitted call; a class, since a generator doubles the cost."""

    __slots__ = ("_admission", "_call", "_caller", "_throttled")

    def __init__(self, admission: Admission, caller: Caller, call: AdmittedCall) -> None:
        self._admission = admission
        self._caller = caller
        self._call = call
        self._throttled = ""

    def __enter__(self) -> AdmittedCall:
        self._throttled = self._admission.enter(self._caller, self._call)
        return self._call

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._admission.leave(self._caller, self._call, self._throttled, error)


def _outcome(error: Exception | None) -> int:
    if error is None:
        return ANSWERED
    is_theirs = isinstance(error, GnomonError) and error.fault is Fault.CALLER
    return REFUSED if is_theirs else FAILED


def _facts(call: AdmittedCall) -> dict[str, object]:
    ended = time.perf_counter_ns()
    stages = [("total_ms", call.started_ns, ended)]
    if call.read_ns:
        stages.append(("read_ms", call.started_ns, call.read_ns))
    if call.answered_ns:
        stages.append(("predict_ms", call.read_ns, call.answered_ns))
    return {
        # `door` is the old name of `frontend`; dashboards may still read it.
        "door": call.frontend,
        "frontend": call.frontend,
        "route": call.route[:80],
        "version": call.version,
        "request_id": call.request_id[:STORED_ID_CHARACTERS],
        **{name: round((after - before) / 1e6, 3) for name, before, after in stages},
    }


def _why(error: GnomonError | None) -> dict[str, object]:
    """Return the error's code and the rules that were broken; messages hold values."""
    if error is None:
        return {}
    rules = [
        {name: detail[name] for name in ("row", "field", "rule", "limit") if name in detail}
        for detail in error.details[:_RULES_SHOWN]
    ]
    return {"code": error.code, "fault": error.fault.value, "rules": rules}
