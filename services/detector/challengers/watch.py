"""The comparisons of all models of a partition: labelled blocks in, verdicts out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector import baseline as baselines
from services.detector.baseline import Baseline
from services.detector.challengers.betting import SIZES, STEPS, needed
from services.detector.challengers.comparison import Terms, Tested, evidence
from services.detector.challengers.losses import Loss
from services.detector.challengers.pairing import KEPT, Waiting
from services.detector.challengers.segments import MAX_SEGMENTS, Part, Parts, Segments, is_worse_somewhere
from services.detector.outputs import Outputs
from services.detector.state import pack, unpack
from services.detector.structs import decode_struct, encode_struct
from shared.challengers import ChallengersSpec
from shared.definition import Definition
from shared.errors import Corrupt
from shared.events.block import ID, Block
from shared.events.comparison import Advice, Comparison, Verdict, advice_of
from shared.identity import ID_BYTES, content_hash
from shared.log import Outgoing
from shared.values import format_ts

NAME, VERSION = "challengers", 1
MOST_PAIRS = 1 << 40  # of one difference, for what a checkpoint may take

BaselineOf = Callable[[str], bytes]  # by content hash


@dataclass(frozen=True, slots=True)
class ChallengerFigures:
    """How one comparison stands."""

    challenger: str
    verdict: Verdict
    pairs: int
    unpaired: int
    evidence: tuple[float, float]  # logarithms of the e-values of better and of worse
    needed: float
    labels_needed: int | None
    segments: dict[Verdict, int]  # how many have which verdict
    waiting: int  # requests of the model that wait for another version's answer


class ModelState(msgspec.Struct):
    """What is kept of one model."""

    terms: str  # hash of what the comparison rests on; with another one it begins anew
    waiting: Waiting
    tested: list[Tested]  # by challenger, in the order of the configuration
    cells: str = ""  # hash of the reference's segments; with other ones theirs begins anew
    parts: list[Parts] = []  # by challenger, as `tested`


class _Kept(msgspec.Struct):
    """All of it on the wire."""

    models: dict[str, ModelState]


class _Bound:
    """A model's configuration, made ready."""

    def __init__(self, definition: Definition, spec: ChallengersSpec, baseline_of: BaselineOf) -> None:
        self.definition, self.spec = definition, spec
        baseline = baselines.decode(baseline_of(definition.baseline_hash)) if definition.baseline_hash else None
        self.loss = _loss(definition, spec, baseline)
        self.segments = Segments(baseline, spec)
        self.needed = needed(spec.alpha, len(spec.versions))
        self.terms = Terms(spec.margin, math.log(self.needed))
        self.versions = (spec.champion, *spec.versions)
        self.hash = content_hash(msgspec.json.encode((spec, self.loss), order="sorted"))

    def begin(self) -> ModelState:
        """Return the state before the first row."""
        challengers = len(self.spec.versions)
        return ModelState(self.hash, Waiting(unpaired=[0] * challengers), [Tested() for _ in range(challengers)])

    def fit(self, state: ModelState) -> None:
        """Begin anew what is known of segments, where these are others."""
        if state.cells != self.segments.hash:
            state.cells, state.parts = self.segments.hash, [{} for _ in self.spec.versions]


def largest_state(spec: ChallengersSpec, segments: Sequence[str]) -> int:
    """Return the most bytes that a model's comparisons take in a checkpoint."""
    losses = {place.to_bytes(ID_BYTES): [STEPS] * (len(spec.versions) + 1) for place in range(KEPT)}
    tested = [Tested(counts=np.full(SIZES, MOST_PAIRS)) for _ in spec.versions]
    full = {name: Part(np.full(SIZES, MOST_PAIRS)) for name in sorted(segments, key=len)[-MAX_SEGMENTS:]}
    waiting = Waiting(losses, [MOST_PAIRS] * len(spec.versions))
    return len(encode_struct(ModelState("", waiting, tested, "", [full for _ in spec.versions])))


class Challengers:
    """Told of every labelled block of a partition. The first label of a request counts; its corrections do not."""

    def __init__(self, outputs: Outputs, code_version: str, baseline_of: BaselineOf) -> None:
        self._outputs, self._code_version, self._baseline_of = outputs, code_version, baseline_of
        self._models: dict[str, ModelState] = {}
        self._bound: dict[str, tuple[str, _Bound]] = {}  # by model, with the hash of its definition

    def fold(
        self, block: Block, definition: Definition, configuration_version: int, log_time: int
    ) -> Iterator[Outgoing]:
        """Take one labelled block; yield what is to be told.

        definition: the one of the model's highest configuration version so far.
        """
        spec = definition.spec.challengers
        if spec is None:
            self._models.pop(block.model, None)
            self._bound.pop(block.model, None)
            return
        bound = self._bind(definition, spec)
        state = self._models.get(block.model)
        if state is None or state.terms != bound.hash:
            state = self._models[block.model] = bound.begin()
        bound.fit(state)
        if block.batch is None or block.model_version not in bound.versions:
            return
        version = bound.versions.index(block.model_version)
        losses = bound.loss.of(block.batch).tolist()
        found: list[list[tuple[int, int]]] = [[] for _ in spec.versions]
        for challenger, row, difference in state.waiting.take(version, block.batch.column(ID).to_pylist(), losses):
            found[challenger].append((row, difference))
        for challenger, pairs in enumerate(found):
            if not pairs:
                continue
            tested, parts = state.tested[challenger], state.parts[challenger]
            rows, differences = np.array(pairs, np.int64).T
            before = _advice(tested, parts)
            bound.segments.take(parts, block.batch, rows, differences)
            is_marked = tested.take(differences, bound.terms, log_time)
            if is_marked or _advice(tested, parts) is not before:
                told = self._told(bound, state, challenger, configuration_version)
                yield self._outputs.comparison(told, tested.told, log_time)
                tested.told += 1

    def figures(self) -> dict[str, list[ChallengerFigures]]:
        """Return how each model's challengers stand; of a model that a restart left waiting for labels, nothing."""
        return {
            model: [
                ChallengerFigures(
                    challenger=named,
                    verdict=tested.verdict,
                    pairs=tested.pairs,
                    unpaired=state.waiting.unpaired[place],
                    evidence=evidence(tested.counts, bound.terms.margin),
                    needed=bound.terms.limit,
                    labels_needed=tested.labels_needed(bound.terms),
                    segments=_counted(parts),
                    waiting=len(state.waiting.losses),
                )
                for place, (named, tested, parts) in enumerate(
                    zip(bound.spec.versions, state.tested, state.parts, strict=True)
                )
            ]
            for model, (_, bound) in self._bound.items()
            if (state := self._models.get(model)) is not None
        }

    def snapshot(self) -> bytes:
        """Return the state; equal histories give equal bytes."""
        return pack(NAME, VERSION, {"models": encode_struct(_Kept(self._models))})

    def restore(self, content: bytes) -> None:
        """Become what gave the snapshot.

        Raises:
            Corrupt: the bytes are of something else.
            Newer: a later release saved them.
            msgspec.MsgspecError: they are of another layout.
        """
        models = unpack(NAME, VERSION, content).get("models")
        if not isinstance(models, bytes):
            raise Corrupt("the state of the challengers has no models")
        self._models, self._bound = decode_struct(models, _Kept).models, {}

    def _bind(self, definition: Definition, spec: ChallengersSpec) -> _Bound:
        known = self._bound.get(definition.model)
        if known is None or known[0] != definition.hash:
            known = self._bound[definition.model] = definition.hash, _Bound(definition, spec, self._baseline_of)
        return known[1]

    def _told(self, bound: _Bound, state: ModelState, challenger: int, configuration_version: int) -> Comparison:
        tested, spec, definition = state.tested[challenger], bound.spec, bound.definition
        standing, named = tested.standing(bound.terms), spec.versions[challenger]
        identity = "\0".join((definition.model, named, state.terms, str(tested.begun)))
        return Comparison(
            comparison_id=content_hash(identity.encode()),
            model=definition.model,
            model_version=named,
            champion=spec.champion,
            metric=bound.loss.metric,
            loss_bound=bound.loss.bound,
            margin=spec.margin,
            alpha=spec.alpha,
            verdict=tested.verdict,
            advice=_advice(tested, state.parts[challenger]),
            pairs=tested.pairs,
            challenger_won=int(tested.counts[STEPS + 1 :].sum()),
            challenger_lost=int(tested.counts[:STEPS].sum()),
            differences=tested.differences(),
            estimate=standing.estimate,
            estimate_low=standing.low,
            estimate_high=standing.high,
            e_better=standing.e_better,
            e_worse=standing.e_worse,
            e_needed=bound.needed,
            labels_needed=standing.labels_needed,
            unpaired=state.waiting.unpaired[challenger],
            begun=format_ts(tested.begun or 0),
            configuration_version=configuration_version,
            configuration_hash=definition.hash,
            code_version=self._code_version,
            segments=bound.segments.told(state.parts[challenger]),
            segments_compared=bound.segments.compared,
            e_needed_in_segments=bound.segments.needed if bound.segments.compared else 0.0,
        )


def _counted(parts: Parts) -> dict[Verdict, int]:
    return {verdict: sum(part.verdict is verdict for part in parts.values()) for verdict in Verdict}


def _advice(tested: Tested, parts: Parts) -> Advice:
    return advice_of(tested.verdict, is_worse_somewhere=is_worse_somewhere(parts))


def _loss(definition: Definition, spec: ChallengersSpec, baseline: Baseline | None) -> Loss:
    """Return how losses are found. Errors of a regression are bounded by the reference, which may not be there yet."""
    metric, schema = spec.compared_by(definition.spec.task), definition.schema
    if metric == "ndcg_loss":
        return Loss(metric, cutoff=definition.spec.cutoffs[0])
    if metric != "absolute_error":
        positive = definition.spec.positive if definition.spec.task == "binary" else None
        return Loss(metric, tuple(schema.classes), positive, tuple(schema.scores))
    performance = None if baseline is None else baseline.performance
    return Loss(metric, bound=0.0 if performance is None else performance.high_error)
