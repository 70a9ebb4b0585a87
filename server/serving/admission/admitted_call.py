"""One call on its way through the gates, as far as its frontend and the log know it."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class AdmittedCall:
    """One call as its frontend knows it, for the log; the frontend fills in what it learns."""

    frontend: str
    route: str
    request_id: str = ""
    version: str = ""
    #: The header of that name, where the frontend has read one.
    traceparent: str = ""
    digest: str = ""
    #: When the request was read, and when the runtime was done (`perf_counter_ns`).
    read_ns: int = 0
    answered_ns: int = 0
    started_ns: int = field(default_factory=time.perf_counter_ns)

    def answered(self, version: str, digest: str) -> None:
        """Say which version of which package has answered, now."""
        self.version, self.digest, self.answered_ns = version, digest, time.perf_counter_ns()
