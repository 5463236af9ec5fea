"""Wherever the notifier dies, every notice comes at least once, each channel's in the order of its incident."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events.alert import OF_INCIDENTS, IncidentEvent
from shared.http import HttpRequest, HttpResponse
from tests.kit.alerts import story_of
from tests.kit.notifying import HOUR, OPS, TAKEN, TEAM, Answer, World, route

PLACES = ("notifier.before_notices", "notifier.after_notices", "notifier.after_send")
NAMES = ("i1", "i2", "i3")
# What is written (incidents' names and events; None is a heartbeat an hour later), and where a process dies after it.
STEPS = st.lists(
    st.tuples(
        st.lists(st.none() | st.tuples(st.sampled_from(NAMES), st.sampled_from(OF_INCIDENTS)), max_size=6),
        st.none() | st.tuples(st.sampled_from(PLACES), st.integers(1, 4)),
        st.booleans(),  # whether the host has committed what was handled before
    ),
    max_size=6,
)
Steps = list[tuple[list[tuple[str, IncidentEvent] | None], tuple[str, int] | None, bool]]


def world_after(steps: Steps, *, dies: bool) -> World:
    world = World(route("ops", "log", every="2h"), route("team"))
    seen: set[str] = set()

    def stubborn(request: HttpRequest) -> Answer:
        """Take no incident's first notice at the first attempt."""
        incident = msgspec.json.decode(request.body)["incident_id"]
        if incident in seen:
            return TAKEN
        seen.add(incident)
        return HttpResponse(500)

    world.receivers.answers[TEAM] = stubborn
    for number, (alerts, death, is_committed) in enumerate(steps):
        committed = world.end() if is_committed else {}
        for place, alert in enumerate(alerts):
            if alert is None:
                world.heartbeat(HOUR)
            else:
                world.incident(*alert, alert_id=f"a{number}.{place}")
        if dies and death is not None:
            world.run(f"{death[0]}:exit@{death[1]}", committed)
    world.run()
    world.run()
    return world


def by_incident(told: list[tuple[str, str, int]]) -> dict[str, list[tuple[str, int]]]:
    found = defaultdict(list)
    for incident, event, repeat in told:
        found[incident].append((event, repeat))
    return dict(found)


@given(STEPS)
@settings(max_examples=60)
def test_every_notice_comes_at_least_once_and_in_order(steps: Steps) -> None:
    undisturbed, disturbed = world_after(steps, dies=False), world_after(steps, dies=True)

    for url in (OPS, TEAM):
        assert by_incident(disturbed.receivers.told(url)) == by_incident(undisturbed.receivers.told(url))
        assert set(disturbed.receivers.ids(url)) == set(undisturbed.receivers.ids(url))
    heard, wanted = ({n.id: story_of(n.data) for n in world.heard.notices} for world in (disturbed, undisturbed))
    for name in NAMES:
        assert [n for n, of in heard.items() if of == name] == [n for n, of in wanted.items() if of == name]
    assert [outcome for outcome in disturbed.outcomes() if outcome.fate != "delivered"] == []


@pytest.mark.parametrize("place", PLACES)
def test_a_death_repeats_at_most_what_was_under_way_with_the_same_id(place: str) -> None:
    world = World(route("ops"))
    for name in ("i1", "i2", "i3"):
        world.incident(name)

    assert world.run(f"{place}:exit@2")
    world.run()

    assert world.receivers.told() == [("i1", "opened", 0), ("i2", "opened", 0), ("i3", "opened", 0)]
    assert len(world.receivers.sent) <= 3 + 3
    assert len(set(world.receivers.ids())) == 3
