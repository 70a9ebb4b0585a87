"""A profile is the same profile as JSON and as the YAML that a person edits."""

import json
from collections.abc import Callable

import pytest
import yaml

from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages.profile import (
    Profile,
    decode_profile,
    decode_profile_yaml,
    encode_profile,
)


@pytest.fixture
def document(profile: Profile) -> bytes:
    return encode_profile(profile)


def test_yaml_and_json_give_the_same_profile(document: bytes, profile: Profile) -> None:
    written = yaml.safe_dump(json.loads(document), allow_unicode=True).encode()
    assert decode_profile_yaml(written) == decode_profile(document) == profile


@pytest.mark.parametrize("decode", [decode_profile, decode_profile_yaml])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "profile"),
        (b"[" * 100_000, "profile"),
        (b'{"fields": []}', r"unknown keys \['fields'\]"),
        (b"\xff\xfe\x00", "profile"),
    ],
    ids=["cut off", "nested without end", "other keys", "no text"],
)
def test_what_is_no_profile_is_refused(
    decode: Callable[[bytes], Profile], text: bytes, says: str
) -> None:
    with pytest.raises(PackageError, match=says):
        decode(text)
