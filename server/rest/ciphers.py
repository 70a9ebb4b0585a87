"""What TLS 1.2 may agree on, at every port of ours; TLS 1.3 has nothing weaker.

RFC 9113 (appendix A) forbids all other suites of TLS 1.2 for HTTP/2: they have no forward secrecy,
or encrypt by blocks and authenticate apart. grpcio's own list is a part of this one.
"""

import ssl

#: In the server's order of preference, as OpenSSL names them.
TLS12_CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)


def restrict(context: ssl.SSLContext) -> None:
    """Let a server's context agree on these suites and versions only, by its own preference."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
