"""Settings for JSON Web Tokens."""

from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError

#: What may be chosen: a public key verifies, and cannot sign.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """How tokens are checked. `file` ends in `.json` for a JWK set, else it is PEM.

    Raises:
        ConfigurationError: issuer, audience or algorithms are missing or unknown.
    """

    file: Path
    issuer: str
    audience: str
    algorithms: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ConfigurationError("tokens need jwt_issuer and jwt_audience")
        unknown = [name for name in self.algorithms if name not in ALGORITHMS]
        if unknown or not self.algorithms:
            raise ConfigurationError(
                f"jwt_algorithms should be some of {', '.join(ALGORITHMS)}, "
                f"got {', '.join(unknown) or 'none'}"
            )
