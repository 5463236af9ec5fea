"""`estimates:` in `driftline.yaml`: what becomes of a performance that is estimated before labels come."""

from __future__ import annotations

import msgspec

from shared.events.alert import Severity


class EstimatesSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Estimates are told with the cohorts in any case."""

    alert: Severity | None = None  # of an incident where the model should be worse than on its reference; None: no such
