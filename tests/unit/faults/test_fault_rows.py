"""A row of the fault table is green only where everything about it is."""

from __future__ import annotations

import pytest

from tests.faults.fault import Fault, Findings, Verdict, judged
from tests.faults.table import FAULTS, MINIMUM

HAPPENED = {"kills": 2}


def verdict_of(findings: Findings, *, verified: str = "clean", is_verified: bool = True) -> tuple[Verdict, list[str]]:
    fault = Fault(1, "a fault", lambda _: None, is_verified=is_verified)
    row = judged(fault, findings, verified=verified, differences=[], seconds=1.0, seed=7)
    return row.verdict, row.why


def test_a_fault_that_happened_and_left_the_fold_of_its_logs_is_green() -> None:
    assert verdict_of(Findings(happened=HAPPENED)) == (Verdict.GREEN, [])


@pytest.mark.parametrize(
    ("findings", "why"),
    [
        (Findings(), "nothing shows that it happened"),
        (Findings(happened={"kills": 1, "copies": 0}), "did not happen: copies"),
        (Findings(happened=HAPPENED, broken=["not so: nothing is lost"]), "not so: nothing is lost"),
    ],
    ids=["no evidence", "a count of 0", "a broken claim"],
)
def test_a_fault_without_evidence_or_with_a_broken_claim_is_red(findings: Findings, why: str) -> None:
    assert verdict_of(findings) == (Verdict.RED, [why])


@pytest.mark.parametrize("verified", ["different", "undecided", ""])
def test_a_fault_whose_logs_were_not_proved_is_red(verified: str) -> None:
    assert verdict_of(Findings(happened=HAPPENED), verified=verified) == (Verdict.RED, [f"verify says {verified}"])


def test_where_a_log_itself_is_gone_nothing_is_folded() -> None:
    assert verdict_of(Findings(happened=HAPPENED), verified="", is_verified=False) == (Verdict.GREEN, [])


def test_every_fault_has_a_number_and_the_minimum_is_part_of_them() -> None:
    assert list(FAULTS) == list(range(1, 45))
    assert [fault.number for fault in MINIMUM] == [2, 4, 5, 8, 10, 14, 28, 29, 30, 35, 38, 40]
    assert not any(fault.missing() for fault in MINIMUM)
