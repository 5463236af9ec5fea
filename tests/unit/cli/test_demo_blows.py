from __future__ import annotations

from services.cli.demo.blows import Blows


def test_blows_fall_at_even_distances_one_after_another() -> None:
    blows = Blows(["first", "second"], events=300)

    fallen = []
    for written in range(0, 301, 50):
        blow = blows.due(written)
        if blow is not None:
            fallen.append((written, blow, blows.due(written)))
            blows.end()

    assert fallen == [(100, "first", None), (200, "second", None)]
    assert blows.are_over


def test_events_flow_while_a_blow_falls_and_wait_before_the_next_one() -> None:
    blows = Blows(["first", "second"], events=300)

    blows.due(100)
    while_it_falls = blows.allowed
    blows.end()
    before_the_last = blows.allowed
    blows.due(200)
    blows.end()

    assert (while_it_falls, before_the_last, blows.allowed) == (200, 300, float("inf"))


def test_a_blow_falls_once_what_the_last_one_hit_is_back() -> None:
    blows = Blows(["first", "second"], events=300)

    blows.due(100)
    early = blows.due(250)
    blows.end()

    assert (early, blows.due(250), blows.are_over) == (None, "second", False)
