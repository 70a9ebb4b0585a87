"""What is known of one call for log and traces, from admission to its end."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class AdmittedCall:
    """One call; its frontend fills in fields as it learns them."""

    frontend: str
    route: str
    request_id: str = ""
    version: str = ""
    #: What was called: gRPC's service and method with a slash, or HTTP's method and path template.
    operation: str = ""
    #: The W3C headers of the parent span, if the frontend read them.
    traceparent: str = ""
    tracestate: str = ""
    #: Whether the route is in service; a name that is not may be anything.
    is_known: bool = False
    digest: str = ""
    #: When the request was read, and when the runtime was done (`perf_counter_ns`).
    read_ns: int = 0
    answered_ns: int = 0
    started_ns: int = field(default_factory=time.perf_counter_ns)

    def answered(self, version: str, digest: str) -> None:
        """Record which version of which package answered, and when."""
        self.version, self.digest, self.answered_ns = version, digest, time.perf_counter_ns()
