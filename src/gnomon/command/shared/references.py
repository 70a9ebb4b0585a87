"""References to versions: `NAME@VERSION`."""

from gnomon.runtime.errors import ConfigurationError


def split_reference(reference: str) -> tuple[str, str]:
    """Return name and version.

    Raises:
        ConfigurationError: it is not `NAME@VERSION`.
    """
    name, _, version = reference.partition("@")
    if not name or not version:
        raise ConfigurationError(f"{reference!r} should be NAME@VERSION, such as eta@1")
    return name, version
