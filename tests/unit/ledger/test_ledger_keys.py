"""API keys in the ledger: kept once, revoked for good, and told by the chain of events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.store import Ledger, open_ledger

START = datetime(2026, 11, 21, tzinfo=UTC)
DIGEST = "ab" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ticks = iter(range(10_000))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with open_ledger(
        url, project="churn", now=lambda: START + timedelta(seconds=next(ticks))
    ) as opened:
        yield opened


def test_a_key_is_kept_with_its_scopes_in_order(ledger: Ledger) -> None:
    key = ledger.add_key("0a1b2c3d", "shop", ["feedback", "predict"], DIGEST, by="me")
    assert (key.scopes, key.live, key.by) == (("predict", "feedback"), True, "me")
    assert ledger.api_keys() == (key,)
    event = ledger.events(kind="key_created")[0]
    assert (event.seq, event.at) == (key.seq, key.at)
    assert DIGEST not in repr(key)


def test_a_revoked_key_stays_revoked(ledger: Ledger) -> None:
    made = ledger.add_key("0a1b2c3d", "shop", ["predict"], DIGEST, by="me")
    revoked = ledger.revoke_key("shop", by="you")
    assert (revoked.live, revoked.revoked_by, revoked.seq) == (False, "you", made.seq)
    assert ledger.revoke_key("0a1b2c3d", by="another") == revoked
    assert ledger.revoke_key("shop", by="another") == revoked
    assert len(ledger.events(kind="key_revoked")) == 1
    # Its name is free again, and stands for the new one.
    again = ledger.add_key("11111111", "shop", ["read"], DIGEST, by="me")
    assert ledger.revoke_key("shop", by="me").key_id == again.key_id
    # With no live key left the name stands for the last one.
    assert ledger.revoke_key("shop", by="me").key_id == again.key_id


@pytest.mark.parametrize(
    ("name", "scopes", "told"),
    [
        ("shop", ["predict", "write"], "no scope `write`"),
        ("shop", [], "at least one scope"),
        ("", ["predict"], "needs a name"),
        ("a\nb", ["predict"], "needs a name"),
        ("x" * 101, ["predict"], "needs a name"),
    ],
)
def test_what_is_no_key_is_refused(ledger: Ledger, name: str, scopes: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ledger.add_key("0a1b2c3d", name, scopes, DIGEST, by="me")
    assert ledger.api_keys() == ()


def test_two_live_keys_do_not_share_a_name(ledger: Ledger) -> None:
    ledger.add_key("0a1b2c3d", "shop", ["predict"], DIGEST, by="me")
    with pytest.raises(ConflictError, match="0a1b2c3d"):
        ledger.add_key("11111111", "shop", ["predict"], DIGEST, by="me")
    with pytest.raises(UsageError, match="no key `nobody`"):
        ledger.revoke_key("nobody", by="me")


@pytest.mark.parametrize(
    "change",
    [
        """update ratchet_keys set scopes = '["admin"]'""",
        f"update ratchet_keys set digest = '{'cd' * 32}'",
        "update ratchet_keys set revoked = null, revoked_seq = null, revoked_by = null",
        "update ratchet_keys set revoked = '2027-01-01T00:00:00.000000Z'",
        "delete from ratchet_keys",
        """insert into ratchet_keys select project, 'ffffffff', 99, at, name, scopes, digest, by,
        null, null, null from ratchet_keys""",
    ],
)
def test_a_key_that_was_changed_by_hand_is_found(ledger: Ledger, change: str) -> None:
    ledger.add_key("0a1b2c3d", "shop", ["predict"], DIGEST, by="me")
    ledger.revoke_key("0a1b2c3d", by="me")
    assert ledger.verify_chain().intact
    with ledger.database.write() as connection:
        assert connection.execute(text(change)).rowcount == 1
    report = ledger.verify_chain()
    assert not report.intact
    assert "API keys" in report.breaks[0].why
