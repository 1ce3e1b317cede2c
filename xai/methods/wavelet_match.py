"""Which wavelet coefficient each hidden unit is most like, chosen on some subjects and judged on others.

van der Westhuizen & Lasenby (2017), section 4 and figure 2, show picked pairs of a unit's output and a coefficient of
the same sample. Here every unit is held against a fixed bank at every lag: one (coefficient, lag, sign) per unit for
all samples, chosen by the mean Pearson correlation over the samples of one half of the subjects and measured on the
other half, and the other way round (cross-fitting), so that the best of many is not taken at its own word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pywt
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..protocols import LSTMStack

Part = Literal["detail", "approximation", "continuous", "input"]

DISCRETE = ("db1", "db2", "db3", "db4", "db5", "db6", "db7", "db8", "sym4", "sym8", "coif1", "coif2")
"""sym2 and sym3 are db2 and db3 mirrored."""
CONTINUOUS = ("mexh", "morl", "gaus1", "gaus3")
"""gaus2 is mexh at another scale."""
FEWEST_COEFFICIENTS = 8
"""A level of the discrete transform is used as long as it keeps this many."""
SMALLEST_SCALE, SCALES_PER_WINDOW = 2, 8
"""Continuous scales: 2, 4, 8, ... up to an eighth of the window; at scale 1 morl is beyond the Nyquist frequency."""
LARGEST_LAG, LAGS_PER_WINDOW = 32, 8
"""Lags reach an eighth of the window either way, and 32 steps at most."""

LEAST_DEFINED = 0.5
SAMPLES_AT_ONCE = 32
"""Samples traced together: a trace keeps seven numbers per step and unit."""
_CONSTANT = 1e-12
"""A variance under this share of the mean square is rounding, not variation (float32)."""


@dataclass(frozen=True)
class Element:
    """One element of the bank: coefficients of one input ``channel``, or that channel itself.

    ``level``: of the discrete transform (1 = finest), or the continuous scale in steps; 0 for the input.
    """

    wavelet: str
    part: Part
    level: int
    channel: int

    @property
    def name(self) -> str:
        """``db4 D3`` and ``db4 A3`` (detail and approximation of level 3), ``mexh s8`` (scale 8), ``input``."""
        letter = {"detail": "D", "approximation": "A", "continuous": "s", "input": ""}[self.part]
        return f"{self.wavelet} {letter}{self.level}" if letter else self.wavelet


@dataclass(frozen=True)
class CorrelationSums:
    """Weighted sums over samples of each ``(lag, unit, element)``: of the defined correlations, of their weights.

    ``total``: the weight of all samples.
    """

    numerator: Tensor
    denominator: Tensor
    total: float

    def __add__(self, other: CorrelationSums) -> CorrelationSums:
        sums = self.numerator + other.numerator, self.denominator + other.denominator
        return CorrelationSums(*sums, self.total + other.total)

    def mean(self) -> Tensor:
        """Mean correlations in [-1, 1]; NaN where under half of the weight defines one: few samples flatter."""
        few = self.denominator <= LEAST_DEFINED * self.total
        return (self.numerator / self.denominator).masked_fill_(few, torch.nan)

    def peaks(self) -> Peaks:
        """The lag of the largest mean of every unit with every element."""
        means = self.mean()
        best = means.abs().nan_to_num_(-1.0).argmax(dim=0)
        return Peaks(means.gather(0, best[None])[0], best)


@dataclass(frozen=True)
class Peaks:
    """Of every ``(unit, element)`` the signed mean correlation at its best lag, and that lag's place in `bank_lags`.

    NaN and 0 where no lag is defined.
    """

    correlation: Tensor
    place: Tensor


@dataclass(frozen=True)
class Choice:
    """The best (element, lag, sign) of every unit, each ``(unit,)``.

    ``element`` indexes the bank, ``lag`` is in steps (positive: the unit follows the coefficient), ``sign`` is 1.0 or
    -1.0, ``correlation`` the absolute mean correlation by which it was chosen. Where a unit has no defined correlation:
    element -1, lag 0, sign and correlation NaN.
    """

    element: Tensor
    lag: Tensor
    sign: Tensor
    correlation: Tensor

    def units(self, start: int, stop: int) -> Choice:
        """The choices of the units from ``start`` up to ``stop``."""
        some = slice(start, stop)
        return Choice(self.element[some], self.lag[some], self.sign[some], self.correlation[some])


@dataclass(frozen=True)
class Matched:
    """Cross-fitted matches of units.

    ``held_out (sample, unit)``: the sample's correlation, at the lag and with the sign of the choice that the *other*
    half of the subjects made; NaN where undefined. ``overall``: the choice on all samples. ``halves``: the choices on
    the first and on the second half.
    """

    held_out: Tensor
    overall: Choice
    halves: tuple[Choice, Choice]

    def units(self, start: int, stop: int) -> Matched:
        """The matches of the units from ``start`` up to ``stop``."""
        first, second = (choice.units(start, stop) for choice in self.halves)
        return Matched(self.held_out[:, start:stop], self.overall.units(start, stop), (first, second))


# The bank.


def bank_elements(steps: int, channels: int) -> list[Element]:
    """The bank for windows of ``steps``: every wavelet, part, level and channel, and the channels themselves.

    Raises ValueError where the window is too short for a single level.
    """
    levels = _levels(steps)
    if not levels:
        raise ValueError(f"steps is {steps}; expected at least {2 * FEWEST_COEFFICIENTS}.")
    scales = _scales(steps)
    parts: tuple[Part, ...] = ("detail", "approximation")
    elements = []
    for channel in range(channels):
        elements += [Element(name, part, level, channel) for name in DISCRETE for level in levels for part in parts]
        elements += [Element(name, "continuous", scale, channel) for name in CONTINUOUS for scale in scales]
        elements.append(Element("input", "input", 0, channel))
    return elements


def bank_lags(steps: int) -> range:
    """The lags tried for windows of ``steps``, in steps, as many ahead as behind."""
    furthest = min(LARGEST_LAG, steps // LAGS_PER_WINDOW)
    return range(-furthest, furthest + 1)


def coefficients(inputs: Tensor, elements: Sequence[Element]) -> Tensor:
    """The bank on ``inputs (sample, channel, time)``: ``(sample, time, element)`` in the inputs' type.

    Discrete coefficients come from `pywt` with ``mode="periodization"``, which halves the length at each level (the
    paper's 108 of 216), and are interpolated linearly, each coefficient at the step where its filters are centred.
    """
    windows = inputs.detach().cpu().numpy().astype(np.float64)
    wanted = {(element.channel, element.wavelet) for element in elements}
    found: dict[Element, NDArray[np.float64]] = {}
    for channel, wavelet in sorted(wanted):
        for element, values in _transform(windows[:, channel], wavelet, channel).items():
            found[element] = values
    return torch.from_numpy(np.stack([found[element] for element in elements], axis=2)).to(inputs)


def _levels(steps: int) -> list[int]:
    levels: list[int] = []
    length = -(-steps // 2)
    while length >= FEWEST_COEFFICIENTS:
        levels.append(len(levels) + 1)
        length = -(-length // 2)
    return levels


def _scales(steps: int) -> list[int]:
    scales = [SMALLEST_SCALE]
    while 2 * scales[-1] * SCALES_PER_WINDOW <= steps:
        scales.append(2 * scales[-1])
    return scales


def _transform(signal: NDArray[np.float64], wavelet: str, channel: int) -> dict[Element, NDArray[np.float64]]:
    """All elements ``(sample, time)`` of one wavelet on one channel ``(sample, time)``."""
    steps = signal.shape[1]
    if wavelet == "input":
        return {Element(wavelet, "input", 0, channel): signal}
    if wavelet in CONTINUOUS:
        scales = _scales(steps)
        values, _ = pywt.cwt(signal, scales, wavelet, axis=-1)
        return {Element(wavelet, "continuous", s, channel): rows for s, rows in zip(scales, values, strict=True)}
    found, approximation = {}, signal
    for level in _levels(steps):
        approximation, detail = pywt.dwt(approximation, wavelet, mode="periodization", axis=-1)
        parts: tuple[tuple[Part, NDArray[np.float64]], ...] = (("detail", detail), ("approximation", approximation))
        for part, values in parts:
            element = Element(wavelet, part, level, channel)
            found[element] = _stretched(values, level, _first_place(wavelet, part, level), steps)
    return found


def _first_place(wavelet: str, part: Part, level: int) -> float:
    """The step at which the first coefficient of a level has its energy centred.

    Coefficient ``k`` of a level filters the values around ``2 k + half the filter`` of the level before; without
    this, a smooth approximation by a long filter would seem to come 80 steps late.
    """
    filters = pywt.Wavelet(wavelet)
    low, high = (
        len(taps) / 2 - float(np.average(np.arange(len(taps)), weights=np.square(taps)))
        for taps in (filters.dec_lo, filters.dec_hi)
    )
    return 2 ** (level - 1) * (high if part == "detail" else low) + (2 ** (level - 1) - 1) * low


def _stretched(values: NDArray[np.float64], level: int, first: float, steps: int) -> NDArray[np.float64]:
    """``(sample, coefficient)``, one every ``2**level`` steps from ``first`` on, to ``(sample, time)``.

    The ends meet, as they do in the transform.
    """
    places = first + np.arange(values.shape[1]) * 2**level
    period = values.shape[1] * 2**level
    return np.stack([np.interp(np.arange(steps), places, row, period=period) for row in values])


# Correlation at every lag.


def hidden_states(model: LSTMStack, inputs: Tensor) -> list[Tensor]:
    """What the units of every layer put out, first layer first: ``(sample, time, unit)``."""
    parts = [[layer.hidden for layer in model.trace(part)] for part in inputs.split(SAMPLES_AT_ONCE)]
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]


def compared_steps(steps: int) -> slice:
    """The steps of a unit that are compared: those whose partner lies in the window at every lag.

    The same at all lags, so that no lag gains by leaving out steps that fit badly. The first steps, where the
    state is still near the zero it starts from, are not among them.
    """
    furthest = bank_lags(steps)[-1]
    return slice(furthest, steps - furthest)


def correlation_sums(hidden: Tensor, bank: Tensor, weights: Tensor) -> CorrelationSums:
    """Sums over samples of the Pearson correlation of every unit with every element at every lag of `bank_lags`.

    ``hidden (sample, time, unit)``, ``bank (sample, time, element)``, ``weights (sample,)``. At lag ``k`` the unit at
    step ``t`` meets the element at step ``t - k``, over `compared_steps`. A sample in which either is constant or not
    finite there is left out of that pair's mean.
    """
    lags, weight = bank_lags(hidden.shape[1]), weights.to(hidden)[:, None]
    shape = (len(lags), hidden.shape[2], bank.shape[2])
    numerator, denominator = hidden.new_empty(shape), hidden.new_empty(shape)
    units, units_defined = _standardised(_met(hidden, 0))
    # One product per lag sums over time and samples at once.
    weighted = units.mul_(weight[:, None]).flatten(0, 1).t().contiguous()
    counted = (units_defined * weight).t()
    for place, lag in enumerate(lags):
        elements, elements_defined = _standardised(_met(bank, lag))
        torch.mm(weighted, elements.flatten(0, 1), out=numerator[place])
        torch.mm(counted, elements_defined.to(hidden), out=denominator[place])
    total = float(weight.sum())
    return CorrelationSums(numerator, denominator, total)


def correlations_at(hidden: Tensor, bank: Tensor, choice: Choice) -> Tensor:
    """Signed correlations ``(sample, unit)`` at each unit's own element and lag; NaN where undefined."""
    found = hidden.new_full((len(hidden), hidden.shape[2]), torch.nan)
    known = choice.element >= 0
    for lag in choice.lag[known].unique().tolist():
        units = torch.nonzero(known & (choice.lag == lag))[:, 0]
        left, left_defined = _standardised(_met(hidden[:, :, units], 0))
        right, right_defined = _standardised(_met(bank[:, :, choice.element[units]], lag))
        correlation = (left * right).sum(dim=1) * choice.sign[units].to(hidden)
        found[:, units] = correlation.masked_fill(~(left_defined & right_defined), torch.nan)
    return found


def _met(values: Tensor, lag: int) -> Tensor:
    """What the compared steps meet ``lag`` steps before, of ``values (sample, time, column)``."""
    compared = compared_steps(values.shape[1])
    return values[:, compared.start - lag : compared.stop - lag]


def _standardised(values: Tensor) -> tuple[Tensor, Tensor]:
    """``(sample, time, column)`` with mean 0 and length 1 over time, and where that is defined; else 0."""
    mean = values.mean(dim=1)
    centred = values - mean[:, None]
    # torch's own variance along this axis takes fifteen times as long.
    variance = centred.square().mean(dim=1)
    defined = (variance > _CONSTANT * (variance + mean.square())) & variance.isfinite()
    scale = torch.where(defined, (variance * values.shape[1]).rsqrt(), 0.0)
    return centred.mul_(scale[:, None]).nan_to_num_(0.0, 0.0, 0.0), defined


# Choice and judgement.


def choose(peaks: Peaks, lags: range, among: Tensor) -> Choice:
    """The best of the elements ``among`` (indices) for every unit; NaN is never chosen."""
    correlations = peaks.correlation[:, among]
    best = correlations.abs().nan_to_num_(-1.0).argmax(dim=1)
    signed = correlations.gather(1, best[:, None])[:, 0]
    known, element = signed.isfinite(), among[best]
    place = peaks.place.gather(1, element[:, None])[:, 0]
    return Choice(
        element=torch.where(known, element, -1),
        lag=torch.where(known, lags.start + place, 0),
        sign=torch.where(signed < 0, -1.0, 1.0).to(signed).masked_fill(~known, torch.nan),
        correlation=signed.abs(),
    )


def cross_fit(
    hidden: Tensor, bank: Tensor, weights: Tensor, first_half: Tensor, families: Sequence[Tensor]
) -> list[Matched]:
    """The cross-fitted match of every unit within each family (indices of elements).

    ``hidden (sample, time, unit)``, ``bank (sample, time, element)``, ``weights (sample,)`` positive (one over the
    number of the subject's samples weighs subjects equally), ``first_half (sample,)`` bool: which half of the subjects
    the sample belongs to. Where a half has no sample all held-out values of the other are NaN.
    """
    halves, lags = [first_half, ~first_half], bank_lags(hidden.shape[1])
    sums = [correlation_sums(hidden[half], bank[half], weights[half]) for half in halves]
    peaks = [part.peaks() for part in sums]
    overall = (sums[0] + sums[1]).peaks()
    matched = []
    for among in families:
        choices = (choose(peaks[0], lags, among), choose(peaks[1], lags, among))
        held_out = hidden.new_empty(len(hidden), hidden.shape[2])
        for half, choice in zip(halves, reversed(choices), strict=True):
            held_out[half] = correlations_at(hidden[half], bank[half], choice)
        matched.append(Matched(held_out, choose(overall, lags, among), choices))
    return matched
