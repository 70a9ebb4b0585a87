"""A conformance suite of the Open Inference Protocol, version 2, on the wire."""
