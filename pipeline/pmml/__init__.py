"""PMML models as ONNX: what can be said exactly is compiled, all else is refused by its name.

Numbers are 64 bits wide throughout, as PMML means them; sums over trees come out in 32. A category
is its position among its values, what is missing is NaN.
"""
