"""What of a row is written down."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import pytest

from ratchet.errors import StorageError
from ratchet.serving.privacy import Privacy, read_key


def test_columns_are_dropped_and_hashed():
    privacy = Privacy(("name",), ("email", "age"), b"k" * 32, "email")
    kept = privacy.values({"name": "Ann", "email": "a@b.c", "age": 41, "tenure": 3})
    digest = blake2b(b"a@b.c", digest_size=16, key=b"k" * 32).hexdigest()
    assert kept == {"email": digest, "age": privacy.digest("41"), "tenure": 3}
    assert privacy.entity("a@b.c") == digest


def test_missing_stays_missing():
    assert Privacy((), ("email",), b"k").values({"email": None}) == {"email": None}
    assert Privacy((), ("email",), b"k", "email").entity(None) is None


def test_digests_depend_on_the_key():
    assert Privacy((), ("a",), b"1" * 32).digest("x") != Privacy((), ("a",), b"2" * 32).digest("x")
    long = Privacy((), ("a",), b"k" * 100)
    assert long.digest("x") != Privacy((), ("a",), b"k" * 64).digest("x")


def test_a_dropped_entity_is_not_there():
    privacy = Privacy(("customer",), (), b"", "customer")
    assert privacy.entity("c1") is None
    assert privacy.drops_entity


def test_the_key_is_made_once_and_only_ours(tmp_path):
    path = tmp_path / "serving" / "hash.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: read_key(path), range(32)))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["hash.key"]


def test_a_broken_key_is_refused(tmp_path):
    path = tmp_path / "hash.key"
    path.write_text("short")
    with pytest.raises(StorageError) as caught:
        read_key(path)
    assert "restore" in caught.value.fix
    assert "short" not in str(caught.value)
