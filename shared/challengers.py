"""`challengers:` in `driftline.yaml`: versions of a model that answer the same requests, and how they are compared."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.errors import ConfigurationError, Malformed
from shared.values import identifier

MAX_CHALLENGERS = 3  # the joiner keeps four versions of a request, the champion's among them

ComparedBy = Literal["error", "loss", "absolute_error", "ndcg_loss"]
_OF_TASK: dict[str, tuple[ComparedBy, ...]] = {
    "binary": ("error", "loss"),
    "multiclass": ("error", "loss"),
    "regression": ("absolute_error",),
    "ranking": ("ndcg_loss",),
}


class ChallengersSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The champion, and the versions that may take its place."""

    champion: str
    versions: list[str]
    metric: ComparedBy | None = None  # None: the first of the task
    margin: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # how much smaller the mean loss must be to matter
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05  # chance of any wrong verdict, however often one looks

    def compared_by(self, task: str) -> ComparedBy:
        """Return the loss that versions are compared by."""
        return self.metric or _OF_TASK[task][0]


def check_challengers(path: str, spec: ChallengersSpec | None, task: str) -> None:
    """Refuse what cannot be compared.

    Raises:
        ConfigurationError: naming the path of the mistake.
    """
    if spec is None:
        return
    if not spec.versions:
        raise ConfigurationError(f"{path}.versions", "name at least one challenger")
    if len(spec.versions) > MAX_CHALLENGERS:
        raise ConfigurationError(f"{path}.versions", f"{len(spec.versions)} challengers; at most {MAX_CHALLENGERS}")
    for where, name in ((f"{path}.champion", spec.champion), *((f"{path}.versions", name) for name in spec.versions)):
        try:
            identifier(name)
        except Malformed as exc:
            raise ConfigurationError(where, f"{name!r}: {exc.detail}") from exc
    if len({spec.champion, *spec.versions}) <= len(spec.versions):
        raise ConfigurationError(f"{path}.versions", "names each challenger once, and not the champion")
    if spec.metric is not None and spec.metric not in _OF_TASK[task]:
        raise ConfigurationError(f"{path}.metric", f"a {task} task is compared by {' or '.join(_OF_TASK[task])}")
