"""The frontends through which predictions are asked for."""
