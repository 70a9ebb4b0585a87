"""What answers along a route without the GIL: one model with its contracts, for one loop."""

from gnomon.server.serving.native.target_buffers import TargetBuffers

class NativeTarget(TargetBuffers):
    """What one route needs to answer plain good requests: its own buffers, for one loop."""

    #: How many nanoseconds a run of the engine usually takes; 0 before the first.
    usual_ns: float
