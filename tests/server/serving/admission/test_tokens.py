"""Tokens of an issuer: only what is signed, fresh, meant for us and in scope is believed."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError, NotAllowed, Unauthenticated
from gnomon.server.serving.admission import authentication, tokens
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.admission.authentication import Authentication
from gnomon.server.serving.admission.key_file import create_key
from gnomon.server.serving.admission.tokens import Tokens
from gnomon.server.serving.native.native_routes import NativeRoutes
from gnomon.server.serving.settings import FrontendSettings
from gnomon.server.serving.token_settings import TokenSettings
from tests.support.serving import BODY, GRPC_FRONTENDS, PREDICT, Doors, request

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "CHECK_SECONDS", 0.0)


def pem(key: Any) -> bytes:
    data: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


def settings(file: Path, **changes: Any) -> TokenSettings:
    good: dict[str, Any] = {"issuer": "idp", "audience": "gnomon", "algorithms": ("ES256",)}
    return TokenSettings(file=file, **(good | changes))


def claims(**changes: Any) -> dict[str, Any]:
    good = {"iss": "idp", "aud": "gnomon", "sub": "ann", "scope": "predict:eta openid"}
    made = good | {"exp": time.time() + 300} | changes
    return {name: value for name, value in made.items() if value is not None}


def token(
    key: Any = EC_KEY, algorithm: str = "ES256", kid: str | None = None, **changes: Any
) -> str:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "issuer.pem").write_bytes(pem(EC_KEY))
    return tmp_path / "issuer.pem"


@pytest.fixture
def frontend(file: Path) -> Authentication:
    return Authentication(None, Tokens(settings(file)))


def identified(frontend: Authentication, shown: str) -> Any:
    return frontend.identify(f"Bearer {shown}")


def test_a_token_names_its_caller_and_models(frontend: Authentication) -> None:
    found = identified(frontend, token())
    assert (found.name, found.models) == ("ann", ("eta",))
    found.check("eta")
    with pytest.raises(NotAllowed, match="not for model 'delay'"):
        found.check("delay")
    assert identified(frontend, token(scope="predict:*")).models == ("*",)
    several = identified(frontend, token(scope=None, scp=["predict:a", "predict:b", 3, "admin"]))
    assert several.models == ("a", "b")


@pytest.mark.parametrize("scope", [None, "", "openid", "eta", 7, {"predict:eta": 1}])
def test_without_a_scope_no_model_may_be_asked(frontend: Authentication, scope: Any) -> None:
    found = identified(frontend, token(scope=scope))
    with pytest.raises(NotAllowed, match="it is for none"):
        found.check("eta")


def unsigned(**changes: Any) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims(**changes))
    encoded = (base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts)
    return ".".join(one.decode() for one in encoded) + "."


def confused() -> str:
    """Sign with the public key as if it were a shared secret."""
    import hashlib
    import hmac

    parts = ({"alg": "HS256", "typ": "JWT"}, claims())
    encoded = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts]
    signed = b".".join(encoded)
    mark = hmac.new(pem(EC_KEY), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(mark).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: token(exp=time.time() - 60), "expired"),
        (lambda: token(nbf=time.time() + 600), "not yet valid"),
        (lambda: token(iss="elsewhere"), "issuer"),
        (lambda: token(aud="others"), "[Aa]udience"),
        (lambda: token(exp=None), "exp"),
        (lambda: token(sub=None), "sub"),
        (lambda: token(iss=None), "iss"),
        (lambda: token(aud=None), "aud"),
        (lambda: token(sub=""), "sub should be"),
        (lambda: token(sub="x" * 129), "sub should be"),
        (lambda: token(ec.generate_private_key(ec.SECP256R1())), "[Ss]ignature"),
        (lambda: token(RSA_KEY, "RS256"), "alg"),
        (lambda: token()[:-4] + "AAAA", "[Ss]ignature"),
        (unsigned, "alg"),
        (confused, "alg"),
        (lambda: "a.b.c", "not valid"),
        (lambda: "..", "not valid"),
        (lambda: f"{'x' * 9_000}.y.z", "longer than"),
        (lambda: "x", "unknown"),
    ],
)
def test_what_is_not_to_be_believed(
    frontend: Authentication, make: Callable[[], str], why: str
) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated, match=why):
            identified(frontend, make())


def test_a_token_is_checked_once_and_known_until_it_expires(
    frontend: Authentication, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = token(exp=time.time() + 1_000)
    first = identified(frontend, shown)

    def nobody(*_given: Any) -> Any:
        raise Unauthenticated("checked again")

    monkeypatch.setattr(Tokens, "believe", nobody)
    assert identified(frontend, shown) is first
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 1_000 + tokens.LEEWAY_SECONDS + 1)
    with pytest.raises(Unauthenticated, match="checked again"):
        identified(frontend, shown)


def test_a_key_that_is_replaced_holds_no_more(frontend: Authentication, file: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    shown = token()
    identified(frontend, shown)
    file.write_bytes(pem(other) + b"\n")
    with pytest.raises(Unauthenticated, match=r"[Ss]ignature"):
        identified(frontend, shown)
    assert identified(frontend, token(other)).name == "ann"
    file.write_text("nothing")
    for one in (shown, token(other)):
        with pytest.raises(Unauthenticated, match="at the moment"):
            identified(frontend, one)


def test_a_set_has_a_key_for_each_id(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    algorithms = {"one": (EC_KEY, "ES256"), "two": (RSA_KEY, "RS256"), "three": (ED_KEY, "EdDSA")}
    keys = []
    for kid, (key, name) in algorithms.items():
        as_json = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
        keys.append(as_json | {"kid": kid, "alg": name})
    file.write_text(json.dumps({"keys": keys}))
    frontend = Authentication(None, Tokens(settings(file, algorithms=("ES256", "RS256", "EdDSA"))))
    for kid, (key, name) in algorithms.items():
        assert identified(frontend, token(key, name, kid)).name == "ann"
    with pytest.raises(Unauthenticated, match="none of id 'four'"):
        identified(frontend, token(kid="four"))
    with pytest.raises(Unauthenticated):
        identified(frontend, token(RSA_KEY, "RS256", "one"))
    keys[1]["kid"] = "one"
    file.write_text(json.dumps({"keys": keys}))
    with pytest.raises(ConfigurationError, match="ids of their own"):
        Authentication(None, Tokens(settings(file)))


def test_only_public_keys_are_taken(tmp_path: Path) -> None:
    private = RSA_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    secret = {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}]}
    own = jwt.get_algorithm_by_name("ES256").to_jwk(EC_KEY, as_dict=True)
    for name, data in (
        ("issuer.pem", private),
        ("issuer.pem", b"secret"),
        ("issuer.pem", pem(RSA_KEY)),
        ("issuer.json", json.dumps(secret).encode()),
        ("issuer.json", json.dumps({"keys": [own]}).encode()),
        ("issuer.json", b'{"keys": []}'),
        ("issuer.json", b"[]"),
    ):
        file = tmp_path / name
        file.write_bytes(data)
        with pytest.raises(ConfigurationError, match="public key"):
            Authentication(None, Tokens(settings(file)))


def test_settings_are_whole_and_pin_algorithms(file: Path) -> None:
    whole: dict[str, Any] = {"jwt_file": file, "jwt_issuer": "idp", "jwt_audience": "gnomon"}
    assert FrontendSettings(**whole).tokens is not None
    FrontendSettings(**whole, host="0.0.0.0").check_reach()
    for broken in ({"jwt_issuer": ""}, {"jwt_audience": ""}, {"jwt_algorithms": ()}):
        with pytest.raises(ConfigurationError):
            FrontendSettings(**(whole | broken))
    for name in ("none", "HS256", "hs256"):
        with pytest.raises(ConfigurationError, match="jwt_algorithms"):
            FrontendSettings(**whole, jwt_algorithms=("ES256", name))
    with pytest.raises(ValueError, match="belong to jwt_file"):
        FrontendSettings(jwt_issuer="idp")


@pytest.mark.parametrize("kind", GRPC_FRONTENDS)
def test_every_frontend_takes_keys_and_tokens(
    served: Any, kind: Any, file: Path, tmp_path: Path
) -> None:
    key = create_key(tmp_path / "keys.json", "app", ["eta"])
    frontends = Doors(
        served,
        kind,
        keys_file=tmp_path / "keys.json",
        jwt_file=file,
        jwt_issuer="idp",
        jwt_audience="gnomon",
    )
    try:
        for shown in (token(), key):
            headers = {"authorization": f"Bearer {shown}"}
            answer = httpx.post(
                frontends.url + PREDICT, json=BODY, headers=headers, trust_env=False
            )
            assert answer.status_code == 200
            for _ in range(3):
                frontends.stub.ModelInfer(request(), timeout=10, metadata=tuple(headers.items()))
        for shown, code in (
            (token(exp=time.time() - 60), grpc.StatusCode.UNAUTHENTICATED),
            (token(scope="predict:delay"), grpc.StatusCode.PERMISSION_DENIED),
        ):
            for _ in range(3):
                with pytest.raises(grpc.RpcError) as caught:
                    frontends.stub.ModelInfer(
                        request(), timeout=10, metadata=(("authorization", f"Bearer {shown}"),)
                    )
                error: Any = caught.value
                assert error.code() is code
    finally:
        frontends.close()
    assert served.counted() == {"answered": 8}


@pytest.mark.slow
def test_the_native_frontend_knows_a_token_until_it_expires(
    served: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = FrontendSettings(jwt_file=file, jwt_issuer="idp", jwt_audience="gnomon")
    admission = make_admission(given, served.handler)
    routes = NativeRoutes(served.handler, admission)
    table = routes.new_table()
    routes.open()
    message: bytes = request().SerializeToString()
    try:
        # Within the leeway, and so for a moment only.
        until = time.time() + 2.0
        shown = f"Bearer {token(exp=until - tokens.LEEWAY_SECONDS)}".encode()
        assert table.try_exchange(message, shown)[0] is None
        admission.identify(shown.decode())
        answer = table.try_exchange(message, shown)[0]
        assert answer is not None
        assert oip.ModelInferResponse.FromString(answer).model_version == "1"
        end = time.monotonic() + 20
        while table.try_exchange(message, shown)[0] is not None:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert time.time() >= until - 1
    finally:
        routes.close()
