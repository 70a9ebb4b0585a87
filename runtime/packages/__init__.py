"""Packages: their format, their layout on disk, their signatures, and how they are written."""
