from __future__ import annotations

from services.devstack.ports import KAFKA, UNCLAIMED, candidates


def test_the_usual_port_comes_before_any_other() -> None:
    assert list(candidates(None, KAFKA, [20_001, 20_002])) == [9092, 20_001, 20_002]


def test_an_asked_port_is_the_only_candidate() -> None:
    assert list(candidates(19_092, KAFKA, [20_001])) == [19_092]


def test_zero_asks_for_any_port_but_the_usual_one() -> None:
    assert list(candidates(0, KAFKA, [20_001, 20_002])) == [20_001, 20_002]


def test_unclaimed_ports_are_below_the_ones_that_outgoing_connections_get() -> None:
    assert (UNCLAIMED.start, UNCLAIMED.stop) == (20_000, 32_000)
