"""The rules of one field, checked on one value: what is too long to be inlined."""
