"""Places where a test makes a process fail."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError, DriftlineError
from shared.failpoints import Action, Died, Failpoints, Unforeseen


def test_without_a_plan_nothing_dies() -> None:
    failpoints = Failpoints()

    for _ in range(3):
        failpoints.hit("joiner.before_cas")


@pytest.mark.parametrize("action", Action)
def test_a_process_fails_at_the_planned_pass_and_place(action: Action) -> None:
    failures: list[tuple[Action, str]] = []
    plan = f"joiner.before_cas:{action}@2,detector.after_alert:exit@1"
    failpoints = Failpoints(plan, lambda *failure: failures.append(failure))

    failed_at = []
    for place in ("joiner.before_cas", "joiner.after_cas", "joiner.before_cas", "joiner.before_cas"):
        failpoints.hit(place)
        failed_at.append(list(failures))

    failure = (action, "joiner.before_cas")
    assert failed_at == [[], [], [failure], [failure]]


def test_in_process_a_death_passes_every_handler_of_errors() -> None:
    failpoints = Failpoints("joiner.before_cas:exit@1")

    with pytest.raises(Died, match=r"joiner\.before_cas"):
        failpoints.hit("joiner.before_cas")
    assert not issubclass(Died, Exception)


def test_in_process_an_error_that_nobody_has_foreseen_is_no_error_of_ours() -> None:
    failpoints = Failpoints("joiner.before_cas:raise@1")

    with pytest.raises(Unforeseen, match=r"joiner\.before_cas"):
        failpoints.hit("joiner.before_cas")
    assert not issubclass(Unforeseen, DriftlineError)


@pytest.mark.parametrize(
    "plan", ["joiner", "joiner:exit", "joiner:exit@0", "joiner:exit@x", "joiner:kill@1", "joiner:exit@1@2", ":exit@1"]
)
def test_a_plan_that_does_not_read_is_refused(plan: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Failpoints(plan)

    assert str(refused.value) == f"DRIFTLINE_FAIL: {plan!r}: write <place>:<exit|stop|raise>@<n>"
