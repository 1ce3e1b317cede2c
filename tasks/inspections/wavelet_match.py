"""Whether hidden units act like wavelets, as the paper says of picked ones, and whether training makes them so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods.wavelet_match import (
    CONTINUOUS,
    DISCRETE,
    FEWEST_COEFFICIENTS,
    Choice,
    Element,
    Matched,
    bank_elements,
    bank_lags,
    coefficients,
    compared_steps,
    cross_fit,
    hidden_states,
)
from xai.protocols import LSTMStack
from xai.quality.comparison import compare

from ..drawing.geometry import Geometry
from ..drawing.wavelet_match import MatchedSample, MatchedUnit, wavelet_figure
from .finding import Drawn, Finding
from .inspected import Inspected

UNTRAINED = 20
"""Untrained networks for each member: the smallest p of a rank among them is 1 / 21."""
PRODUCTS = 2e12
"""Multiplications that all correlations may take; longer windows, more units or channels mean fewer samples."""
UNITS_AT_ONCE = 1024
SHOWN_PAIRS, SHOWN_SAMPLES = 2, 5
SHOWN_FROM = 0.05
"""Significance level of both tests."""

WAVELET, BAND, INPUT, BEYOND = "wavelet", "band-pass wavelet", "input", "wavelet beyond input"
FAMILIES = (WAVELET, BAND, INPUT)
MEASURES = (WAVELET, BAND, INPUT, BEYOND)

TEXT = """Every hidden unit is held against {elements} coefficients of the same sample{channels}: detail (D) and
approximation (A) of {discrete} in periodization mode at every level that keeps {fewest} coefficients, interpolated to
the {steps} steps, and {continuous} at scales of 2, 4, 8, ... steps. The correlation is Pearson's over steps {first} to
{last}, at lags up to {lag} steps either way (positive: the unit follows), averaged over the samples of a {kind} and
then over {kind}s; the paper picked pairs by eye from single samples. Coefficient, lag and sign are chosen for each unit
on one half of the {kind}s and judged on the other, and the other way round: the best of so many would match noise too.
A unit is asked about samples that its member never saw.

The null is {untrained} untrained networks of the same shape for each member, on the same samples and by the same
procedure. An LSTM smooths its input from the start, so that smooth coefficients resemble it without any training; and
a unit that copies the signal looks like one of its approximations. The match of the input itself and that of details
and continuous wavelets alone (band-pass: no approximations) are therefore told beside. Training is said to matter only
where the difference paired by {kind} (two-sided) and the rank among the untrained (one-sided) both reach 5 %. Layers
and units count from 1. {samples} samples of {subjects} {kind}s were used."""


@dataclass(frozen=True)
class _Network:
    """One network's matches: by family `Matched`, and the layer of every unit (from 1)."""

    member: int
    seed: int | None
    layers: np.ndarray
    matched: dict[str, Matched]

    @property
    def name(self) -> str:
        return "trained" if self.seed is None else "untrained"


@dataclass(frozen=True)
class _Judged:
    """A member's samples and the networks that were asked about them, the trained one first."""

    rows: pd.DataFrame
    networks: list[_Network]


def inspect(looked: Inspected) -> Finding:
    """The best match of every unit, against untrained networks; Figure 2 of paper 1."""
    elements = bank_elements(looked.bundle.config.window, len(looked.cohort.channels))
    judged = list(_judged(looked, elements))
    units = pd.concat([_unit_matches(part) for part in judged], ignore_index=True)
    subjects = pd.concat([_subject_matches(part) for part in judged], ignore_index=True)
    ranked = _ranked(judged, units, elements, looked.cohort.channels)
    tests = _tests(subjects)
    networks = _network_means(subjects)
    kind = looked.cohort.subject_kind
    return Finding(
        title="Are hidden units wavelets?",
        text=_text(looked, judged, elements),
        verdicts=(
            _training_words(tests, kind),
            _beside_words(tests),
            _unit_words(units, ranked),
            *_undefined_words(units),
        ),
        figures={"wavelet-match": _drawn(looked, ranked, elements, units, networks)},
        tables={
            "wavelet_match": ranked.drop(columns="element"),
            "wavelet_match_tests": tests,
            "wavelet_match_networks": networks,
        },
    )


# Matching.


def _judged(looked: Inspected, elements: Sequence[Element]) -> Iterator[_Judged]:
    """Every member on samples that it never saw, and untrained networks in its place."""
    affordable = replace(looked, per_class=_per_class(looked, len(elements)))
    families = _families(elements)
    for member in looked.members():
        rows = affordable.some(member)
        if rows.empty:
            continue
        inputs = looked.inputs(rows)
        bank, weights, first_half = coefficients(inputs, elements), _weights(rows), _first_half(rows)
        networks: list[_Network] = []
        for group in _groups(looked, member):
            layers = [hidden_states(cast(LSTMStack, network), inputs) for _, network in group]
            hidden = torch.cat([layer for network in layers for layer in network], dim=2)
            found = cross_fit(hidden, bank, weights, first_half, families)
            widths = [sum(layer.shape[2] for layer in network) for network in layers]
            starts = np.cumsum([0, *widths[:-1]]).tolist()
            for (seed, _), network, start, width in zip(group, layers, starts, widths, strict=True):
                of_unit = np.repeat(np.arange(1, len(network) + 1), [layer.shape[2] for layer in network])
                mine = {name: match.units(start, start + width) for name, match in zip(FAMILIES, found, strict=True)}
                networks.append(_Network(member, seed, of_unit, mine))
        yield _Judged(rows, networks)


def _groups(looked: Inspected, member: int) -> Iterator[list[tuple[int | None, torch.nn.Module]]]:
    """The member and its untrained rivals, as many at once as `UNITS_AT_ONCE` allows; seed None: trained."""
    hidden = looked.bundle.config.arguments["hidden"]
    together = max(1, UNITS_AT_ONCE // sum(hidden))
    # Each member has its own untrained rivals, so that a mean over members compares with a mean over rivals.
    seeds: list[int | None] = [None, *range(member * UNTRAINED, (member + 1) * UNTRAINED)]
    for first in range(0, len(seeds), together):
        part = seeds[first : first + together]
        yield [(seed, looked.network(member) if seed is None else looked.untrained(seed)) for seed in part]


def _per_class(looked: Inspected, elements: int) -> int:
    """Samples of a class, for each member, that `PRODUCTS` allows."""
    steps, units = looked.bundle.config.window, sum(looked.bundle.config.arguments["hidden"])
    compared = compared_steps(steps)
    one = (compared.stop - compared.start) * units * elements * len(bank_lags(steps)) * (1 + UNTRAINED)
    affordable = PRODUCTS / one / (len(looked.members()) * len(looked.classes))
    return max(1, min(looked.per_class, int(affordable)))


def _families(elements: Sequence[Element]) -> list[Tensor]:
    """Indices of the elements of each of `FAMILIES`."""
    kept = {
        WAVELET: ("detail", "approximation", "continuous"),
        BAND: ("detail", "continuous"),
        INPUT: ("input",),
    }
    return [
        torch.tensor([number for number, element in enumerate(elements) if element.part in kept[name]])
        for name in FAMILIES
    ]


def _weights(rows: pd.DataFrame) -> Tensor:
    """One over the number of the subject's samples, so that subjects weigh the same."""
    return torch.from_numpy(1 / rows.groupby("subject")["sample"].transform("size").to_numpy(dtype=np.float64))


def _first_half(rows: pd.DataFrame) -> Tensor:
    """Every second subject, in the order of their first class, so that both halves hold all classes if possible."""
    order = rows.groupby("subject")["label"].min().reset_index().sort_values(["label", "subject"])["subject"]
    return torch.from_numpy(rows["subject"].isin(order.iloc[::2]).to_numpy())


# Tables.


def _subject_means(values: Tensor, rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out correlations ``(sample, unit)`` as means over each subject's samples, subject x unit."""
    return pd.DataFrame(values.double().numpy()).groupby(rows["subject"].to_numpy()).mean()


def _unit_matches(judged: _Judged) -> pd.DataFrame:
    """A row per network and unit: held-out match with each family, mean over subjects; NaN where undefined."""
    tables = []
    for network in judged.networks:
        means = {name: _subject_means(match.held_out, judged.rows).mean() for name, match in network.matched.items()}
        table = pd.DataFrame(means).assign(member=network.member, network=network.name, layer=network.layers)
        tables.append(table.assign(unit=table.groupby("layer").cumcount() + 1))
    return pd.concat(tables, ignore_index=True)


def _subject_matches(judged: _Judged) -> pd.DataFrame:
    """A row per network and subject: means over the units that are defined there, of every measure."""
    tables = []
    for place, network in enumerate(judged.networks):
        found = {name: _subject_means(match.held_out, judged.rows) for name, match in network.matched.items()}
        found[BEYOND] = found[WAVELET] - found[INPUT]
        table = pd.DataFrame({name: values.mean(axis=1) for name, values in found.items()}).rename_axis("subject")
        # The rivals of different members are counted alike, to be averaged as the members are.
        tables.append(table.reset_index().assign(member=network.member, network=network.name, rival=place))
    return pd.concat(tables, ignore_index=True)


def _ranked(
    judged: list[_Judged], units: pd.DataFrame, elements: Sequence[Element], channels: tuple[str, ...]
) -> pd.DataFrame:
    """Every trained unit with its best coefficient, the best held-out match first; undefined units last.

    ``correlation`` is held out. wavelet, part, level, channel and lag are chosen on all samples; ``same_in_halves``:
    both halves chose that coefficient and lag. ``null_mean`` and ``null_95``: mean and 95th percentile of the units
    of the same layer of the member's untrained networks.
    """
    tables = []
    for part in judged:
        network = part.networks[0]
        best = network.matched[WAVELET]
        table = units[(units["member"] == network.member) & (units["network"] == "trained")]
        table = table[["member", "layer", "unit"]].reset_index(drop=True)
        table = table.join(_chosen(best.overall, elements, channels))
        table["correlation"], table["input_correlation"] = _unit_columns(units, network.member)
        table["same_in_halves"] = np.all([_same(best.overall, half) for half in best.halves], axis=0)
        tables.append(table)
    null = units[units["network"] == "untrained"].groupby(["member", "layer"])[WAVELET]
    summary = pd.DataFrame({"null_mean": null.mean(), "null_95": null.quantile(0.95)}).reset_index()
    ranked = pd.concat(tables, ignore_index=True).merge(summary, on=["member", "layer"], how="left")
    ranked = ranked.sort_values("correlation", ascending=False, kind="stable", na_position="last")
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    return ranked.reset_index(drop=True)


def _unit_columns(units: pd.DataFrame, member: int) -> tuple[np.ndarray, np.ndarray]:
    mine = units[(units["member"] == member) & (units["network"] == "trained")]
    return mine[WAVELET].to_numpy(), mine[INPUT].to_numpy()


def _chosen(choice: Choice, elements: Sequence[Element], channels: tuple[str, ...]) -> pd.DataFrame:
    """The chosen coefficient of each unit in words and numbers; blank where there is none."""
    rows = []
    for number, lag, sign in zip(choice.element.tolist(), choice.lag.tolist(), choice.sign.tolist(), strict=True):
        if number < 0:
            rows.append({"element": -1, "wavelet": "", "part": "", "level": 0, "channel": "", "lag": 0, "sign": np.nan})
            continue
        element = elements[number]
        rows.append(
            {
                "element": number,
                "wavelet": element.wavelet,
                "part": element.part,
                "level": element.level,
                "channel": channels[element.channel],
                "lag": lag,
                "sign": sign,
            }
        )
    return pd.DataFrame(rows)


def _same(choice: Choice, other: Choice) -> np.ndarray:
    same = (choice.element == other.element) & (choice.lag == other.lag) & (choice.element >= 0)
    return np.asarray(same.numpy())


def _network_means(subjects: pd.DataFrame) -> pd.DataFrame:
    """Every measure of the trained version (rival 0) and of each rival: mean over subjects."""
    by_subject = subjects.groupby(["network", "rival", "subject"])[list(MEASURES)].mean()
    return by_subject.groupby(["network", "rival"]).mean().reset_index()


def _tests(subjects: pd.DataFrame) -> pd.DataFrame:
    """Trained less mean untrained, paired by subject, of every measure; the rank of the trained among the untrained.

    The first measure is the one that was declared; the others are exploratory (Benjamini-Hochberg).
    ``rank_p``: share of all networks, the trained version counted among them, that lie as far out as it on its side.
    """
    by_rival = subjects.groupby(["network", "rival", "subject"])[list(MEASURES)].mean()
    by_network = by_rival.groupby(["network", "subject"]).mean()
    trained, fresh = by_network.xs("trained"), by_network.xs("untrained")
    table = trained.add_prefix("trained ").join(fresh.add_prefix("untrained "))
    pairs = [(f"trained {name}", f"untrained {name}") for name in MEASURES]
    found = pd.concat(
        [
            compare(table, family, metric="correlation", direction="higher", correction="bh")
            for family in (pairs[:1], pairs[1:])
        ],
        ignore_index=True,
    )
    found["measure"] = MEASURES
    found["trained"] = [trained[name].mean() for name in MEASURES]
    found["untrained"] = [fresh[name].mean() for name in MEASURES]
    networks = _network_means(subjects)
    found[["rank", "networks", "rank_p"]] = [_rank(networks, name) for name in MEASURES]
    kept = ["measure", "trained", "untrained", "difference", "ci_low", "ci_high", "p", "p_adjusted", "subjects"]
    return found[[*kept, "dropped", "in_favour", "rank", "networks", "rank_p"]]


def _rank(networks: pd.DataFrame, measure: str) -> tuple[float, float, float]:
    """Rank of the trained version among all networks (1 = most alike), their number, and its one-sided p."""
    trained = networks.loc[networks["network"] == "trained", measure].to_numpy()
    rivals = networks.loc[networks["network"] == "untrained", measure].to_numpy()
    if not np.isfinite(trained).all() or not np.isfinite(rivals).all():
        return np.nan, np.nan, np.nan
    above, below = int((rivals >= trained).sum()), int((rivals <= trained).sum())
    return 1 + above, 1 + len(rivals), (1 + min(above, below)) / (1 + len(rivals))


# Words.


def _text(looked: Inspected, judged: list[_Judged], elements: Sequence[Element]) -> str:
    steps, channels = looked.bundle.config.window, len(looked.cohort.channels)
    compared = compared_steps(steps)
    used = pd.concat([part.rows for part in judged])
    return TEXT.format(
        elements=sum(element.part != "input" for element in elements) // channels,
        channels="" if channels == 1 else f" in each of the {channels} channels",
        discrete=", ".join(DISCRETE),
        continuous=", ".join(CONTINUOUS),
        fewest=FEWEST_COEFFICIENTS,
        steps=steps,
        first=compared.start + 1,
        last=compared.stop,
        lag=bank_lags(steps)[-1],
        kind=looked.cohort.subject_kind,
        untrained=UNTRAINED,
        samples=used["sample"].nunique(),
        subjects=used["subject"].nunique(),
    )


def _training_words(tests: pd.DataFrame, kind: str) -> str:
    """The declared question, answered by both tests."""
    row = tests.iloc[0]
    if not np.isfinite(row["ci_low"]):
        return (
            f"Too few {kind}s to say whether training makes units more like wavelets: {row['subjects']} of at least 3."
        )
    ranked = row["rank_p"] <= SHOWN_FROM
    paired = row["p"] <= SHOWN_FROM and not row["ci_low"] <= 0 <= row["ci_high"]
    side = "more" if row["difference"] > 0 else "less"
    shown = f"makes units {side} like wavelets"
    answer = shown if ranked and paired else "is not shown to change how like wavelets units are"
    return (
        f"Training {answer}: the mean best match of a unit, held out, is {row['trained']:.3f} and in untrained "
        f"networks {row['untrained']:.3f}, a difference of {_interval(row)} over {row['subjects']} {kind}s "
        f"({_p(row['p'])}); from the most alike down, the trained version is number {row['rank']:.0f} of "
        f"{row['networks']:.0f} networks ({_p(row['rank_p'])}, one-sided)."
    )


def _beside_words(tests: pd.DataFrame) -> str:
    parts = []
    for _, row in tests.iloc[1:].iterrows():
        if np.isfinite(row["ci_low"]):
            parts.append(
                f"{row['measure']} {row['trained']:.3f} against {row['untrained']:.3f} ({_interval(row)}, "
                f"adjusted {_p(row['p_adjusted'])}, rank {row['rank']:.0f} of {row['networks']:.0f})"
            )
    return f"Trained against untrained, beside it: {'; '.join(parts)}." if parts else "Nothing else could be compared."


def _unit_words(units: pd.DataFrame, ranked: pd.DataFrame) -> str:
    """How many units are what the paper shows: like a wavelet, more than untrained ones, more than like the input."""
    known = ranked[ranked["correlation"].notna()]
    if known.empty:
        return "No unit has a defined match."
    above = known["correlation"] > known["null_95"]
    beyond = above & (known["correlation"] > known["input_correlation"])
    fresh = units.loc[units["network"] == "untrained", WAVELET]
    return (
        f"Of {len(known)} trained units, {int(above.sum())} match a wavelet better than 95 % of the untrained units of "
        f"their layer ({0.05 * len(known):.0f} by chance), {int(beyond.sum())} of these also better than the input "
        f"itself. Median match {known['correlation'].median():.2f}, best {known['correlation'].max():.2f}; untrained "
        f"units: median {fresh.median():.2f}. In {int(known['same_in_halves'].sum())} units both halves chose the "
        f"coefficient and lag that the table names."
    )


def _undefined_words(units: pd.DataFrame) -> Iterator[str]:
    for name, part in units.groupby("network"):
        lost = int(part[WAVELET].isna().sum())
        if lost:
            yield f"{lost} of {len(part)} {name} units have no defined match, because they are constant."


def _interval(row: pd.Series) -> str:
    return f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


# The figure.


def _drawn(
    looked: Inspected, ranked: pd.DataFrame, elements: Sequence[Element], units: pd.DataFrame, networks: pd.DataFrame
) -> Drawn:
    """Figure 2: samples that the first member reads rightly, and the top of its ranked table."""
    member = int(ranked["member"].min())
    mine = ranked[(ranked["member"] == member) & (ranked["element"] >= 0)].head(SHOWN_PAIRS)
    rows, right = _shown(looked, member)
    inputs = looked.inputs(rows)
    hidden = hidden_states(cast(LSTMStack, looked.network(member)), inputs)
    bank = coefficients(inputs, elements)
    pairs = [
        MatchedUnit(
            coefficient=_name(row, elements, looked.cohort.channels),
            unit=f"unit {row['unit']}" + (f", layer {row['layer']}" if len(hidden) > 1 else ""),
            lag=int(row["lag"]),
            sign=float(row["sign"]),
            coefficients=bank[:, :, int(row["element"])].numpy(),
            hidden=hidden[int(row["layer"]) - 1][:, :, int(row["unit"]) - 1].numpy(),
            correlation=float(row["correlation"]),
        )
        for _, row in mine.iterrows()
    ]
    samples = [
        MatchedSample(looked.classes[int(label)], signal)
        for label, signal in zip(rows["label"], looked.signals(rows), strict=True)
    ]
    figure = wavelet_figure(
        Geometry.of(looked.cohort), samples, pairs, units, networks,
        title=f"Hidden units of member {member} and the wavelets that they match best",
    )  # fmt: skip
    read = "that it reads rightly" if right else "(it reads none rightly)"
    return Drawn(
        f"Top: samples {read}, one of a class, and the {SHOWN_PAIRS} pairs of coefficient and unit at the top of the "
        f"ranked table of member {member}; pale behind the unit: the coefficient at the chosen lag and sign, scaled to "
        f"the unit. Bottom: held-out matches of all units, trained and untrained, and the mean of every network.",
        figure,
    )


def _shown(looked: Inspected, member: int) -> tuple[pd.DataFrame, bool]:
    """The first sample of each class that the member reads rightly; of any class where it reads none so."""
    rows = looked.some(member)
    with torch.inference_mode():
        predicted = looked.network(member)(looked.inputs(rows)).argmax(1).numpy()
    right = rows[predicted == rows["label"].to_numpy()]
    shown = (right if len(right) else rows).groupby("label").head(1).sort_values("label").head(SHOWN_SAMPLES)
    return shown, len(right) > 0


def _name(row: pd.Series, elements: Sequence[Element], channels: tuple[str, ...]) -> str:
    element = elements[int(row["element"])]
    return element.name + (f"\nof {channels[element.channel]}" if len(channels) > 1 else "")
