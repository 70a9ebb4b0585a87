"""The doors through which predictions are asked for."""
