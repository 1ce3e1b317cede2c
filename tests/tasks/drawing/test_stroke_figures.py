"""The figures of the stroke study show what they were given, whole and readable, for little and for much."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tasks import drawing
from tasks.drawing.across_nets import against_dice
from tasks.drawing.filter_names import filter_kind, filter_range, jitter, kinds_of, of_kind
from tasks.drawing.filter_sketch import filter_sketch
from tasks.drawing.inclusivity import inclusivity_boxes, inclusivity_table
from tasks.drawing.normalised_means import normalised_means
from tasks.drawing.relevance_slices import relevance_slices
from tasks.drawing.style import SIGNED
from tasks.drawing.sweep_overview import sweep_overview
from tests.tasks.drawing.readable import assert_readable
from tests.tasks.drawing.stroke_tables import (
    BRAIN,
    CLAMPS,
    FILTERS,
    METRICS,
    PASSES,
    SHAPE,
    case,
    coefficients,
    controls,
    means,
    nets,
    relevance,
    sweep,
)

EXPLAINERS = ["gradient", "lrp_composite_zplus_box_l0_h1_clamp0.2", "occlusion_supervoxels_n200_refine2", "random"]
EXPLAINERS += [f"lrp_composite_zplus_box_l0_h1_{name}" for name in PASSES]
WORDS = {"d": "D(relevance, truth)", "largest": "largest |R| after decoders.2", "nothing": "mean |R|"}


def pass_filter(low: float, high: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def keep(values: torch.Tensor) -> torch.Tensor:
        size = values.abs() / values.abs().amax()
        return values * ((size >= low) & (size <= high))

    return keep


def clamp_filter(high: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda values: values.clamp(-high * float(values.abs().amax()), high * float(values.abs().amax()))


def slices(**maps: np.ndarray) -> Figure:
    return relevance_slices(BRAIN, case(), maps, "rCBF", title="T")


def by_class(labels: list[str]) -> Figure:
    maps = {label: {name: relevance(place) for place, name in enumerate(EXPLAINERS)} for label in labels}
    return drawing.class_by_explainer(
        dict.fromkeys(labels, case().signal), maps, geometry=BRAIN, title="T", evidence={labels[0]: case().truth},
        low_is_important=["random"],
    )  # fmt: skip


FIGURES: dict[str, Callable[[], Figure]] = {
    "one sample": lambda: drawing.sample_heatmap(
        case().signal, relevance(), geometry=BRAIN, title="T", evidence=case().truth[None]
    ),
    "all explainers": lambda: drawing.all_explainers(
        case().signal, {name: relevance(place) for place, name in enumerate(EXPLAINERS)}, geometry=BRAIN, title="T",
        low_is_important=["random"],
    ),
    "classes": lambda: by_class(["lesion", "background"]),
    "one class": lambda: by_class(["lesion"]),
    "slices, 3 filters": lambda: slices(raw=relevance(scale=1e3), passed=relevance(2, 1e-7), clamped=relevance(3)),
    "slices, 1 filter": lambda: slices(raw=relevance()),
    "slices, 5 filters": lambda: slices(**{name: relevance() for name in ("a", "b", "c", "d", "e")}),
    "inclusivity": lambda: inclusivity_boxes(coefficients(), title="T"),
    "inclusivity, 1 case, 1 series": lambda: inclusivity_boxes(coefficients([4], "A"), title="T"),
    "inclusivity, clamps only": lambda: inclusivity_boxes(
        coefficients().query(f"filter in {['raw', *CLAMPS]}"), title="T"
    ),
    "means of pass": lambda: normalised_means(means(["raw", *PASSES]), title="T"),
    "means of clamp": lambda: normalised_means(means(["raw", *CLAMPS]), title="T"),
    "sketch": lambda: filter_sketch({"pass (0, 0.4)": pass_filter(0, 0.4), "clamp": clamp_filter(0.2)}, title="T"),
    "sweep": lambda: sweep_overview(sweep(), controls(), METRICS, title="T"),
    "sweep, 1 metric, no control": lambda: sweep_overview(sweep(), controls()[:0], {"d": "D"}, title="T"),
    "nets": lambda: against_dice(nets(), WORDS, title="T"),
    "nets, 1 quantity": lambda: against_dice(nets(), {"d": "D"}, title="T"),
    "nets, many layers": lambda: against_dice(
        nets().assign(**{f"l{number}": nets()["largest"] for number in range(7)}),
        {f"l{number}": f"largest |R| after decoders.{number}" for number in range(7)},
        title="T",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_inside_readable_and_apart(name: str) -> None:
    assert_readable(FIGURES[name]())


def test_relevance_is_divided_by_its_channels_largest_which_is_stated() -> None:
    raw = relevance(scale=500)
    figure = slices(raw=raw)
    largest = np.abs(raw[2]).max()
    assert figure.axes[0].get_title(loc="left") == f"A  raw\nmax |R_c| = {largest:.4g}"
    alone = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(alone[..., :3], SIGNED(0.5 + raw[2, 2] / largest / 2)[..., :3])
    assert (alone[..., 3] == 1).all()
    assert "slice 3 of 5 (most evidence), rCBF; Dice 0.769" in figure.texts[1].get_text()


def test_relevance_that_is_zero_has_no_contrast_and_no_dice_is_said() -> None:
    figure = relevance_slices(
        BRAIN, case(dice=float("nan")), {"pass": np.zeros((6, *SHAPE))}, "ADC", title="T", depth=4
    )
    assert figure.axes[0].get_title(loc="left") == "A  pass\nmax |R_c| = 0"
    assert [text.get_text() for text in figure.axes[0].texts] == ["no contrast"]
    assert "slice 5 of 5 (chosen), ADC; Dice undefined" in figure.texts[1].get_text()


def test_panels_have_the_papers_letters() -> None:
    titles = [axes.get_title(loc="left")[:2].strip() for axes in slices(raw=relevance(), b=relevance(2)).axes]
    assert titles[:8] == ["A", "B", "C", "E", "A2", "B2", "D", "F"]


def test_a_channel_or_slice_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="channel is 'PWI'; expected one of ADC, MTT"):
        relevance_slices(BRAIN, case(), {"raw": relevance()}, "PWI", title="T")
    with pytest.raises(ValueError, match="depth is 5; expected 0 to 4"):
        relevance_slices(BRAIN, case(), {"raw": relevance()}, "ADC", title="T", depth=5)


def test_filters_are_told_apart_by_name() -> None:
    assert [filter_kind(name) for name in ("raw", "pass0-0.05", "clamp0.2")] == ["raw", "pass", "clamp"]
    names = ("raw", "pass0-0.05", "pass0.1-1", "clamp0.2", "clamp0.1-0.2", "clamp0.2_bychannel")
    assert [filter_range(name) for name in names] == [
        "raw", "(0, 0.05)", "(0.1, 1)", "(0, 0.2)", "(0.1, 0.2)", "(0, 0.2)\nbychannel"
    ]  # fmt: skip
    assert of_kind(FILTERS, "clamp") == ["raw", *CLAMPS]
    assert kinds_of(["clamp0.2", "raw", "pass0-1"]) == ["pass", "clamp"]
    with pytest.raises(ValueError, match="filter is 'median3'; expected 'raw'"):
        filter_kind("median3")


@given(st.integers(0, 200), st.floats(0.01, 2))
@settings(max_examples=30, deadline=None)
def test_points_step_aside_alike_every_time_and_stay_in_their_width(count: int, width: float) -> None:
    np.testing.assert_array_equal(jitter(count, width), jitter(count, width))
    assert np.abs(jitter(count, width)).max(initial=0) <= width / 2


def test_boxes_are_the_quartiles_of_the_values_and_undefined_ones_are_said() -> None:
    table = coefficients([4], "AB")
    figure = inclusivity_boxes(table, title="T")
    values = table.query("against == 'truth' and filter == 'raw' and series == 'A'")["value"]
    box = figure.axes[0].patches[0].get_path().vertices[:, 1]
    np.testing.assert_allclose([box.min(), box.max()], np.quantile(values, [0.25, 0.75]))
    assert figure.axes[0].get_title(loc="left") == "case 4, truth, pass"
    assert figure.axes[1].get_title(loc="left") == "case 4, truth, clamp"
    clamps = [text.get_text() for text in figure.axes[1].texts]
    assert clamps == ["undefined"], "series B under clamp 0.6"
    assert not figure.axes[0].texts


def test_the_table_holds_the_means_as_the_paper_lays_them_out() -> None:
    table = coefficients()
    shown = inclusivity_table(table.sample(frac=1, random_state=0), 27)
    assert list(shown.columns[:2]) == ["filter", "range"]
    assert set(shown.columns[2:]) == {f"{against} {letter}" for against in ("truth", "input") for letter in "ABX"}
    assert list(shown["filter"]) == ["raw"] + ["pass"] * 10 + ["clamp"] * 5
    cell = table.query("case == 27 and against == 'input' and filter == 'pass0.1-1' and series == 'B'")["value"].mean()
    assert shown.set_index(["filter", "range"]).loc[("pass", "(0.1, 1)"), "input B"] == pytest.approx(cell)
    assert np.isnan(shown.set_index(["filter", "range"]).loc[("clamp", "(0, 0.6)"), "truth X"])
    with pytest.raises(ValueError, match="case 99 has no rows"):
        inclusivity_table(table, 99)


def test_every_known_mean_is_a_point_at_its_filter() -> None:
    table = means(["raw", "clamp0.1"], "AB")
    axes = normalised_means(table, title="T").axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    for letter, line in zip("AB", points, strict=True):
        rows = table[table["series"] == letter].dropna()
        np.testing.assert_allclose(line.get_ydata(), rows["mean"])
        np.testing.assert_array_equal(np.round(line.get_xdata()), rows["filter"].map({"raw": 0, "clamp0.1": 1}))
    assert "117 means, 3 undefined" in normalised_means(table, title="T").texts[1].get_text()


def test_the_sketch_is_what_the_filter_computes() -> None:
    seen = []

    def spy(values: torch.Tensor) -> torch.Tensor:
        seen.append(values)
        return clamp_filter(0.3)(values)

    figure = filter_sketch({"clamp": spy, "pass": pass_filter(0.5, 1)}, title="T")
    assert all(values.shape[:2] == (1, 1) for values in seen)
    assert len(seen) == 3
    curve = figure.axes[0].lines[1]
    np.testing.assert_allclose(curve.get_ydata(), np.clip(curve.get_xdata(), -0.3, 0.3), atol=1e-12)
    spikes = seen[1][0, 0].numpy()
    assert spikes.max() == 1
    words = f"mean {spikes.mean():.2f} → {np.clip(spikes, -0.3, 0.3).mean():.2f}"
    assert figure.axes[1].get_title(loc="left") == words
    jump = figure.axes[3].lines[1].get_ydata()
    assert np.isnan(jump).sum() == 2, "no line joins what the filter parts"
    with pytest.raises(ValueError, match="filters is empty"):
        filter_sketch({}, title="T")


def test_a_sweep_has_a_row_per_filter_and_the_controls_as_lines() -> None:
    table = sweep()
    table.loc[(table["filter"] == "clamp0.4") & (table["metric"] == "dice"), ["mean", "ci_low", "ci_high"]] = np.nan
    figure = sweep_overview(table, controls(), METRICS, title="T")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:2] == ["raw", "pass (0, 0.05)"]
    for axes, metric in zip(figure.axes, METRICS, strict=True):
        rows = table[table["metric"] == metric].set_index("filter")
        drawn = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
        np.testing.assert_allclose(drawn, rows["mean"].dropna())
        upright = [line.get_xdata()[0] for line in axes.lines if line.get_ydata()[-1] == 1 and line.get_ydata()[0] == 0
                   and line.get_xdata()[0] == line.get_xdata()[-1] and len(line.get_xdata()) == 2]  # fmt: skip
        expected = controls()[controls()["metric"] == metric]["mean"]
        np.testing.assert_allclose(upright, expected)
        assert axes.get_xlim()[0] <= 0
    assert [text.get_text() for text in figure.axes[2].texts] == ["undefined"]


def test_a_filter_twice_in_a_sweep_and_a_metric_without_rows_are_refused() -> None:
    twice = pd.concat([sweep(), sweep()[:1]])
    with pytest.raises(ValueError, match="several rows of 'd' for a filter"):
        sweep_overview(twice, controls(), METRICS, title="T")
    with pytest.raises(ValueError, match="metric 'iou' has no rows"):
        sweep_overview(sweep(), controls(), {"iou": "IoU"}, title="T")


def test_nets_are_points_with_their_names_and_rank_correlation() -> None:
    table = nets()
    figure = against_dice(table, WORDS, title="T")
    first, second, third = figure.axes
    known = table.dropna(subset=["d"])
    ranks = known[["dice", "d"]].rank()
    assert first.get_title(loc="left") == f"ρ = {np.corrcoef(ranks['dice'], ranks['d'])[0, 1]:.2f}, n = 17"
    assert {text.get_text() for text in first.texts} == set(known["net"])
    assert {tuple(text.xy) for text in first.texts} == set(zip(known["dice"], known["d"], strict=True))
    assert (first.get_yscale(), second.get_yscale()) == ("linear", "log")
    assert third.get_title(loc="left") == "no correlation, n = 0"
    assert [text.get_text() for text in third.texts] == ["undefined for every net"]


def test_two_nets_have_no_correlation() -> None:
    axes = against_dice(nets()[:2], {"d": "D"}, title="T").axes[0]
    assert axes.get_title(loc="left") == "no correlation, n = 2"


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: inclusivity_boxes(coefficients().drop(columns="against"), title="T"), r"lacks \['against'\]"),
        (lambda: normalised_means(means(["raw"]).drop(columns="mean"), title="T"), r"lacks \['mean'\]"),
        (lambda: sweep_overview(sweep().drop(columns="ci_low"), controls(), METRICS, title="T"), r"lacks \['ci_low'\]"),
        (lambda: against_dice(nets(), {"missing": "M"}, title="T"), r"lacks \['missing'\]"),
    ],
)
def test_missing_columns_are_named(draw: Callable[[], Figure], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw()
