"""The build side: datasets, profiles, exports, packages."""
