"""What a package is, how it lies on disk, who signed it, and how it is found and written."""
