"""Replay: a package's recorded answers given again, in the environment that it was built with."""
