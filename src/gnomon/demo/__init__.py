"""The main job on real flights: what `gnomon demo` plays."""
