"""Conversion of models in other formats to formats that an engine runs."""
