"""Whatever the weights and their changes: shares hold, and entities move as little as possible."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from math import sqrt

from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.ledger.layout import PARTS, Layout, lay_out, parts_of
from ratchet.ledger.traffic import Arm, Traffic
from ratchet.serving.router import Router, part_of

NAMES = ("champion", "a", "b", "c")


@st.composite
def shares(draw: st.DrawFn) -> dict[str, int]:
    """Parts of two to four arms, the champion first."""
    names = NAMES[: draw(st.integers(2, 4))]
    cuts = sorted(draw(st.lists(st.integers(0, PARTS), min_size=len(names) - 1)))[: len(names) - 1]
    ends = [0, *cuts, PARTS]
    return {name: ends[i + 1] - ends[i] for i, name in enumerate(names)}


def router(layout: Layout, salt: str = "salt") -> Router:
    arms = tuple(
        Arm(name, n, parts / PARTS * 100)
        for n, (name, parts) in enumerate(parts_of(layout).items(), 1)
    )
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return Router(Traffic(1, at, "canary", 1, arms, (), salt, layout, {}, "t", "t"))


def owners(layout: Layout) -> list[tuple[int, int, str]]:
    found, low = [], 0
    for high, arm in layout:
        found.append((low, high, arm))
        low = high
    return found


def kept(before: Layout, after: Layout, arm: str) -> int:
    """Parts that the arm owns in both."""
    return sum(
        max(0, min(b_high, a_high) - max(b_low, a_low))
        for b_low, b_high, b_arm in owners(before)
        for a_low, a_high, a_arm in owners(after)
        if b_arm == a_arm == arm
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(shares(), min_size=1, max_size=6))
def test_every_change_gives_the_shares_and_moves_the_fewest(changes: list[dict[str, int]]) -> None:
    layout: Layout = ()
    for parts in changes:
        after = lay_out(parts, layout)
        assert parts_of(after) == {name: size for name, size in parts.items() if size}
        ends = [end for end, _ in after]
        assert ends == sorted(set(ends))
        assert ends[-1] == PARTS
        assert all(left[1] != right[1] for left, right in pairwise(after))
        if layout:
            before = parts_of(layout)
            for arm in before.keys() | parts.keys():
                # Growing adds only, shrinking removes only: nobody is moved for nothing.
                stays = min(before.get(arm, 0), parts.get(arm, 0))
                assert kept(layout, after, arm) == stays
        layout = after


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, PARTS), min_size=2, max_size=5),
    st.lists(st.text(max_size=12), min_size=1, max_size=30),
)
def test_an_entity_of_a_growing_canary_stays_in_it(sizes: list[int], entities: list[str]) -> None:
    layout: Layout = ()
    inside: set[str] = set()
    for size in sorted(sizes):
        layout = lay_out({"champion": PARTS - size, "canary": size}, layout)
        pick = router(layout).pick
        now = {entity for entity in entities if pick(entity).name == "canary"}
        assert inside <= now
        assert now == {entity for entity in entities if part_of("salt", entity) >= PARTS - size}
        inside = now


@settings(max_examples=25, deadline=None, derandomize=True)
@given(shares(), st.text(min_size=1, max_size=16))
def test_shares_hold_over_many_ids(parts: dict[str, int], salt: str) -> None:
    n = 4000
    pick = router(lay_out(parts), salt).pick
    counts = dict.fromkeys(parts, 0)
    for number in range(n):
        counts[pick(f"customer-{number}").name] += 1
    for name, size in parts.items():
        p = size / PARTS
        # Six standard deviations and a half: one false alarm in some ten million arms.
        assert abs(counts[name] - n * p) <= 6.5 * sqrt(n * p * (1 - p)) + 1


def test_two_salts_divide_alike_and_independently() -> None:
    """Whoever was in one rollout's canary is in the next one's no oftener than anybody else."""
    n, size = 20_000, PARTS // 10
    layout = lay_out({"champion": PARTS - size, "canary": size})
    first, second = router(layout, "one").pick, router(layout, "two").pick
    both = sum(first(key).name == second(key).name == "canary" for key in map(str, range(n)))
    assert abs(both - n * 0.01) <= 5 * sqrt(n * 0.01 * 0.99)


def test_a_part_is_the_same_everywhere_and_for_ever() -> None:
    """Workers, hosts and later versions must agree; changing this moves every entity."""
    assert [part_of("salt", key) for key in ("", "c-1", "客户", "\ud800")] == [
        185409,
        415339,
        588760,
        756192,
    ]
