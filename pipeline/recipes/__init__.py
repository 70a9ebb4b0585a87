"""From a recipe in TOML to a package."""
