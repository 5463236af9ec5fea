"""What broke, in the words of people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from services.detector.baseline import ALL
from services.detector.quality.reference import Statistic
from shared.events.alert import Culprit

_SAID: Mapping[str, str] = MappingProxyType(
    {
        Statistic.MISSING: "{feature} has no value in {share} of rows",
        Statistic.NEW_CATEGORY: "{feature} has categories that the reference does not know in {share} of rows",
        Statistic.VANISHED: "{feature} is {category} in no row any more, as in {share} of rows before",
        Statistic.OUT_OF_RANGE: "{feature} is outside its range in {share} of rows",
        Statistic.OUTLIER: "{feature} is outside all that the reference holds in {share} of rows",
        Statistic.TYPE_ERROR: "{feature} is of another type in {share} of rows",
        Statistic.FORMAT_ERROR: "{feature} is not in its format in {share} of rows",
        Statistic.BROKEN: "{feature} does not hold in {share} of rows",
        Statistic.DUPLICATE: "{share} of rows repeat the features of one shortly before",
        Statistic.STALE: "{share} of rows have times a day or more in the past",
        Statistic.EARLY: "{share} of rows have times a day or more in the future",
    }
)
_LISTED = 5


def said(culprits: Collection[Culprit]) -> str:
    """Return what the culprits tell, the largest share first."""
    ranked = sorted(culprits, key=lambda culprit: (-culprit.value, culprit.feature, culprit.segment))
    words = [
        _SAID[culprit.statistic].format(
            feature=culprit.feature,
            share=f"{culprit.value:.1%}",
            category=" or ".join(part.name for part in culprit.bins),
        )
        + ("" if culprit.segment == ALL else f" of {culprit.segment}")
        for culprit in ranked[:_LISTED]
    ]
    return ", ".join(words) + (f" and {len(ranked) - _LISTED} more" if len(ranked) > _LISTED else "")
