"""The language of conditions over several fields: parsed once, evaluated alike everywhere."""

from gnomon.core.expression.expression import Expression, ExpressionError, Formula

__all__ = ["Expression", "ExpressionError", "Formula"]
