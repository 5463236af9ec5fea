"""Places where a test makes a process die."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.failpoints import Died, Failpoints


def test_without_a_plan_nothing_dies() -> None:
    failpoints = Failpoints()

    for _ in range(3):
        failpoints.hit("joiner.before_cas")


def test_a_process_dies_at_the_planned_pass_and_place() -> None:
    deaths: list[str] = []
    failpoints = Failpoints("joiner.before_cas:exit@2,detector.after_alert:exit@1", deaths.append)

    died_at = []
    for place in ("joiner.before_cas", "joiner.after_cas", "joiner.before_cas", "joiner.before_cas"):
        failpoints.hit(place)
        died_at.append(list(deaths))

    assert died_at == [[], [], ["joiner.before_cas"], ["joiner.before_cas"]]


def test_in_process_a_death_passes_every_handler_of_errors() -> None:
    failpoints = Failpoints("joiner.before_cas:exit@1")

    with pytest.raises(Died, match=r"joiner\.before_cas"):
        failpoints.hit("joiner.before_cas")
    assert not issubclass(Died, Exception)


@pytest.mark.parametrize(
    "plan", ["joiner", "joiner:exit", "joiner:exit@0", "joiner:exit@x", "joiner:raise@1", ":exit@1"]
)
def test_a_plan_that_does_not_read_is_refused(plan: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Failpoints(plan)

    assert str(refused.value) == f"DRIFTLINE_FAIL: {plan!r}: write <place>:exit@<n>"
