"""Compiles PMML models to ONNX: exactly, or the element that cannot be compiled is named.

Numbers are 64 bits wide throughout, as in PMML; sums over trees are computed in 32. A
category is its position among its values, a missing value is NaN.
"""
