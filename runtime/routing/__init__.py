"""Routes and fallbacks as plain data: which package answers for a model name."""
