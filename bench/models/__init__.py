"""Models of other projects, served as bare files."""
