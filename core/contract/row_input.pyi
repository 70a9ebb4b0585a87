"""The values of one row, put field by field: vectors, rows of doubles, and the last step."""
