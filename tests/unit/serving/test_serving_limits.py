"""How often a caller may ask, and who counts as one."""

from __future__ import annotations

import os

import pytest

from ratchet.serving.limits import RateLimit, address_group


class Seconds:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_of_twice_the_rate_and_then_the_rate() -> None:
    now = Seconds()
    limit = RateLimit(10.0, now=now)
    assert [limit.take("a") for _ in range(20)] == [0.0] * 20
    wait = limit.take("a")
    assert wait == pytest.approx(0.1)
    assert limit.take("b") == 0.0
    now.at += wait
    assert limit.take("a") == 0.0
    assert limit.take("a") > 0.0
    # A request that was refused costs nothing: who keeps trying gets the rate all the same.
    passed = 0
    for _ in range(1000):
        now.at += 0.01
        passed += limit.take("a") == 0.0
    assert passed == pytest.approx(100, abs=1)


def test_a_rate_below_one_lets_one_request_through() -> None:
    now = Seconds()
    limit = RateLimit(0.1, now=now)
    assert limit.take("a") == 0.0
    assert limit.take("a") == pytest.approx(10.0)
    now.at += 10.0
    assert limit.take("a") == 0.0


def test_forked_workers_share_the_count() -> None:
    limit = RateLimit(5.0, now=Seconds())
    child = os.fork()
    if child == 0:
        os._exit(sum(limit.take("a") == 0.0 for _ in range(4)))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 4
    assert sum(limit.take("a") == 0.0 for _ in range(20)) == 6


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_of_ipv6_the_network_is_counted(address: str, group: str) -> None:
    assert address_group(address) == group
