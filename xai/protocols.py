"""What the parts of `xai` ask of each other and of a network: structure, never a class of `models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from .scores import LOGIT, ScoreOperator


@runtime_checkable
class Classifier(Protocol):
    """Maps normalised inputs ``(sample, channel, *grid)`` to logits ``(sample, class)``.

    A segmenter has logits for every point, ``(sample, class, *grid)``; a `ScoreOperator` makes them one score.
    """

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)`` or ``(sample, class, *grid)``."""
        ...


@runtime_checkable
class IntervalClassifier(Classifier, Protocol):
    """A classifier of signals that need not be run whole again where only one interval of time has changed.

    A causal network starts from its state before the interval; a convolution computes only what sees it.
    """

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        For interval ``k`` the steps ``starts[k]`` to ``stops[k] - 1`` of ``inputs`` come from
        ``replacement``, both ``(sample, channel, time)``; an empty interval leaves the inputs as they are.
        ``starts`` and ``stops`` are int64 ``(interval,)``. No gradient is kept.
        """
        ...


@runtime_checkable
class PrefixClassifier(IntervalClassifier, Protocol):
    """A causal classifier whose logits are the mean over time of per-step class scores.

    Because step ``t`` sees only the inputs up to ``t``, the scores of any prefix come from one forward
    pass, and inputs changed from step ``t`` on need to be run again from ``t`` on only.
    """

    def step_scores(self, inputs: Tensor) -> Tensor:
        """Per-step class scores ``(sample, time, class)`` of inputs ``(sample, channel, time)``.

        The logits of the prefix ``1..t`` are the mean of the first ``t`` of them.
        """
        ...


@runtime_checkable
class ColumnNetwork(Classifier, Protocol):
    """A classifier of signals that knows which points its last columns stand for, as one that pads its inputs."""

    def columns_to_points(self, columns: Tensor) -> Tensor:
        """A map ``(sample, column)`` over the last features' columns, brought to the points ``(sample, time)``.

        Linear in ``columns``; what the network pads is cut away.
        """
        ...


@runtime_checkable
class ClassActivation(ColumnNetwork, Protocol):
    """A classifier whose logits are one linear layer on the mean over columns of its last features.

    ``classifier`` is that layer: ``model(inputs)`` is ``classifier(features(inputs).mean(dim=2))``.
    """

    classifier: nn.Linear

    def features(self, inputs: Tensor) -> Tensor:
        """The last features ``(sample, feature, column)`` of inputs ``(sample, channel, time)``."""
        ...


@runtime_checkable
class MeanOfMembers(Classifier, Protocol):
    """A classifier whose logits are the mean of other classifiers' logits."""

    def averaged(self) -> Sequence[Classifier]:
        """The classifiers behind the mean."""
        ...


class LayerTrace(Protocol):
    """One LSTM layer on one batch.

    ``inputs (sample, time, feature)``; the gates ``input_gate``, ``forget_gate``, ``output_gate`` in (0, 1),
    ``candidate`` in (-1, 1), ``candidate_total`` before its tanh, ``cell`` and ``hidden`` are ``(sample, time,
    unit)``; the states before the first step are zero. ``weight_input (4 unit, feature)``, ``weight_hidden
    (4 unit, unit)``, ``bias (4 unit,)``: the gates in the order input, forget, candidate, output.
    """

    inputs: Tensor
    input_gate: Tensor
    forget_gate: Tensor
    candidate: Tensor
    candidate_total: Tensor
    cell: Tensor
    hidden: Tensor
    weight_input: Tensor
    weight_hidden: Tensor
    bias: Tensor

    @property
    def output_gate(self) -> Tensor:
        """As above; relevance does not ask for it."""
        ...


@runtime_checkable
class LSTMStack(PrefixClassifier, Protocol):
    """A prefix classifier made of stacked LSTM layers and a linear head on the last one, step by step."""

    def readout(self) -> nn.Linear:
        """The linear head."""
        ...

    def trace(self, inputs: Tensor) -> Sequence[LayerTrace]:
        """What every layer did with ``inputs (sample, channel, time)``, first layer first; no gradient."""
        ...


class RelevanceFilter(Protocol):
    """Changes relevance on its way down, as the pass and clamp filters of Tjoa et al. do."""

    @property
    def name(self) -> str:
        """What it is called in the name of an explainer."""
        ...

    def __call__(self, relevance: Tensor) -> Tensor:
        """The relevance ``(sample, channel, *grid)`` that goes on, in the same shape, no sample depending on others."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """A method with fixed parameters that says how much each input point matters for one score."""

    @property
    def name(self) -> str:
        """The catalogue's name, from which `xai.methods.explainer` builds an equal explainer."""
        ...

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs``, higher where a point speaks more for the score.

        ``inputs`` are normalised, ``(sample, channel, *grid)``; ``targets`` ``(sample,)`` int64 classes;
        ``seeds`` ``(sample,)`` int64, the only source of randomness. A sample's attribution does not depend
        on the others of its batch.
        """
        ...
