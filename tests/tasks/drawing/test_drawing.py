"""The figures show what they were given: positions, colours, order, labels, and nothing cut off."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from tasks import drawing
from tasks.drawing import Geometry
from tasks.drawing.heat import heat
from tasks.drawing.style import (
    FIRST,
    HEAT,
    SECOND,
    SIGNED,
    UNDECIDED,
    WIDTH,
    _with_palette,
    explainer_style,
    fitted,
    wrapped,
)

STEPS, RATE = 216, 360.0
EXPLAINERS = [
    "gradient",
    "gradient_abs",
    "integrated_gradients",
    "occlusion_w5",
    "occlusion_w10",
    "occlusion_w10-paper",
    "random",
    "amplitude",
]
CLASSES = ["normal", "left bundle branch block", "right bundle branch block", "/", "V <$1> & $2"]
MLII = Geometry(("MLII",), ("mV",), RATE, origin=108)
BEDSIDE = Geometry(("ECG", "ABP", "ICP"), ("mV", "mmHg", "mmHg"), 50.0)
SCAN = Geometry(("intensity",), ("intensity",), 1.0, image=(12, 18))
CLINICAL = {"geometry": MLII}


def beat(channels: int = 1) -> np.ndarray:
    time = MLII.times(STEPS)
    return np.stack([np.exp(-((time - 20 * channel) ** 2) / 800) for channel in range(channels)])


def attribution(name: str, channels: int = 1) -> np.ndarray:
    values = np.random.default_rng(len(name)).normal(size=(channels, STEPS))
    return values if name in ("gradient", "integrated_gradients") else np.abs(values)


def evidence() -> np.ndarray:
    mask = np.zeros(STEPS, dtype=bool)
    mask[30:60] = True
    return mask


def curves(baselines: tuple[str, ...] = ("zero", "linear")) -> pd.DataFrame:
    rows = [
        (name, baseline, order, fraction, 5 - place * fraction, 4 - fraction, 6 - fraction)
        for place, name in enumerate(EXPLAINERS)
        for baseline in baselines
        for order in ("morf", "lerf")
        for fraction in (1.0, 0.0, 0.5)
    ]
    return pd.DataFrame(rows, columns=["explainer", "baseline", "order", "fraction", "mean", "ci_low", "ci_high"])


def comparison() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("occlusion_w10", "gradient", -0.11, -0.14, -0.08, 0.0004, 37, 40, "occlusion_w10"),
            ("gradient", "integrated_gradients", 0.09, 0.05, 0.13, 0.01, 35, 40, "integrated_gradients"),
            ("integrated_gradients", "occlusion_w10-paper", 0.06, 0.01, 0.11, 0.2, 25, 40, ""),
            ("occlusion_w10", "random", 0.02, -0.03, 0.07, 0.01, 18, 40, ""),
            ("occlusion_w10", "amplitude", np.nan, np.nan, np.nan, np.nan, np.nan, 2, np.nan),
        ],
        columns=[
            "first",
            "second",
            "difference",
            "ci_low",
            "ci_high",
            "p_adjusted",
            "in_favour",
            "subjects",
            "winner",
        ],
    )


def overview() -> pd.DataFrame:
    means = [0.4, 0.35, 0.3, 0.25, 0.1, 0.2, 0.5, np.nan]
    rows = [
        (name, "deletion_auc", mean, mean - 0.05, mean + 0.05) for name, mean in zip(EXPLAINERS, means, strict=True)
    ]
    return pd.DataFrame(rows, columns=["explainer", "metric", "mean", "ci_low", "ci_high"])


def by_group() -> pd.DataFrame:
    levels = [("sex", "female"), ("sex", "male"), ("age band", "under 45"), ("age band", "80 and over")]
    rows = [
        (group, level, name, 0.1 * place, 0.1 * place - 0.03, 0.1 * place + 0.03, 5 + place)
        for name in EXPLAINERS
        for place, (group, level) in enumerate(levels, start=EXPLAINERS.index(name))
    ]
    table = pd.DataFrame(rows, columns=["group", "level", "explainer", "mean", "ci_low", "ci_high", "n"])
    table.loc[1, ["mean", "ci_low", "ci_high"]] = np.nan
    return table


def means_per_class() -> Figure:
    maps = {label: {name: attribution(name) for name in EXPLAINERS} for label in [*CLASSES, "sixth"]}
    return drawing.class_mean_heatmaps(
        dict.fromkeys(maps, beat()), maps, title="means", counts={"normal": 1200}, **CLINICAL,
        evidence={"normal": evidence()}, low_is_important=["occlusion_w10-paper"],
    )  # fmt: skip


def figure_three() -> Figure:
    maps = {label: {name: attribution(name) for name in EXPLAINERS} for label in CLASSES}
    del maps["/"]["gradient_abs"]
    return drawing.class_by_explainer(
        dict.fromkeys(CLASSES, beat()), maps, title="Figure 3", evidence={"/": evidence()}, **CLINICAL,
        low_is_important=["occlusion_w10-paper"],
    )  # fmt: skip


def all_explainers(geometry: Geometry = MLII) -> Figure:
    maps = {name: attribution(name, len(geometry.channels)) for name in EXPLAINERS}
    return drawing.all_explainers(
        beat(len(geometry.channels)),
        maps,
        title="a beat",
        evidence=evidence(),
        low_is_important=["occlusion_w10-paper"],
        geometry=geometry,
    )


def many(geometry: Geometry, means: bool = False) -> Figure:
    names = [*EXPLAINERS, "occlusion_w5x5", "occlusion_w5x5_v0.5", "occlusion_w5x5-paper", "gradient_x_input"]
    labels = ["0", "1", "a longer name"] if geometry.image else ["ICP above 20 mmHg", "ICP at most 15 mmHg"]
    channels = len(geometry.channels)
    maps = {label: {name: attribution(name, channels) for name in names} for label in labels}
    draw = drawing.class_mean_heatmaps if means else drawing.class_by_explainer
    shown = {"counts": dict.fromkeys(labels, 12)} if means else {"evidence": {labels[0]: evidence()}}
    return draw(
        dict.fromkeys(labels, beat(channels)), maps, title="many", geometry=geometry,
        low_is_important=["occlusion_w10-paper", "occlusion_w5x5-paper"], **shown,
    )  # fmt: skip


FIGURES: dict[str, Callable[[], Figure]] = {
    "all_explainers": all_explainers,
    "all_explainers, 3 channels": lambda: all_explainers(BEDSIDE),
    "all_explainers, image": lambda: all_explainers(SCAN),
    "sample_heatmap, 3 channels": lambda: drawing.sample_heatmap(
        beat(3), attribution("random", 3), title="vitals", geometry=BEDSIDE, evidence=evidence()
    ),
    "sample_heatmap, image": lambda: drawing.sample_heatmap(
        beat(), attribution("random"), title="image", geometry=SCAN, evidence=evidence()
    ),
    "class_by_explainer, 3 channels": lambda: many(BEDSIDE),
    "class_by_explainer, image": lambda: many(SCAN),
    "class_mean_heatmaps, 3 channels": lambda: many(BEDSIDE, means=True),
    "class_mean_heatmaps, image": lambda: many(SCAN, means=True),
    "sample_heatmap": lambda: drawing.sample_heatmap(beat(), attribution("gradient"), title="$one $ b", **CLINICAL),
    "class_by_explainer": figure_three,
    "class_mean_heatmaps": means_per_class,
    "perturbation_curves": lambda: drawing.perturbation_curves(curves(), title="curves"),
    "forest": lambda: drawing.forest(comparison(), metric="deletion AUC", higher_is_better=False, title="pairs"),
    "metric_overview": lambda: drawing.metric_overview(
        overview(), metric="deletion_auc", higher_is_better=False, title="overview"
    ),
    "subgroups": lambda: drawing.subgroups(by_group(), metric="deletion AUC", higher_is_better=False, title="whom"),
    "confusion": lambda: drawing.confusion(np.diag([9, 8, 7, 6, 0]), CLASSES),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_inside_readable_and_apart(name: str) -> None:
    figure = FIGURES[name]()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    inked = figure.get_tightbbox(renderer)
    assert figure.get_figwidth() == WIDTH
    assert min(inked.x0, inked.y0) >= 0, "something is cut off at the left or lower edge"
    assert inked.x1 <= WIDTH, "something is cut off at the right"
    assert inked.y1 <= figure.get_figheight(), "something is cut off on top"
    smallest = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip())
    assert smallest / 72 * 1000 / WIDTH > 11, "too small at 1000 px"
    labels: list[Text] = [*figure.texts]
    for axes in filter(lambda each: each.get_visible(), figure.axes):
        labels += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in labels if text.get_text()]
    for place, (one, first) in enumerate(boxes):
        for other, second in boxes[place + 1 :]:
            wide = min(first.x1, second.x1) - max(first.x0, second.x0)
            high = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert min(wide, high) < 2, f"{one!r} lies on {other!r}"


@given(
    hnp.arrays(float, (2, 12), elements=st.floats(-1e3, 1e3)).filter(lambda values: np.ptp(values) > 1e-3),
    st.floats(0.01, 100),
    st.floats(-100, 100),
)
@settings(max_examples=40, deadline=None)
def test_heat_spans_zero_to_one_and_ignores_scale_and_shift(values: np.ndarray, scale: float, shift: float) -> None:
    heated = heat(values)
    assert heated.min() == 0
    assert heated.max() == 1
    np.testing.assert_allclose(heat(values * scale + shift), heated, atol=1e-7)
    signed = heat(values, signed=True)
    np.testing.assert_allclose(heat(-values * scale, signed=True), 1 - signed, atol=1e-9)
    np.testing.assert_array_equal(signed > 0.5, values / np.abs(values).max() / 2 + 0.5 > 0.5)


def test_heat_of_a_constant_map_is_undefined_and_said() -> None:
    assert np.isnan(heat(np.ones((1, 5)))).all()
    figure = drawing.sample_heatmap(beat(), np.ones((1, STEPS)), title="flat", **CLINICAL)
    assert "no contrast" in texts(figure)


def test_heat_keeps_single_undefined_points_undefined() -> None:
    np.testing.assert_array_equal(heat(np.array([[1.0, np.nan, 3.0]])), [[0, np.nan, 1]])


def test_heat_colours_darken_evenly() -> None:
    luminance = HEAT(np.linspace(0, 1, 32))[:, :3] ** 2.2 @ [0.2126, 0.7152, 0.0722]
    lightness = np.cbrt(luminance)
    assert (np.diff(lightness) < 0).all()
    assert np.diff(lightness).min() / np.diff(lightness).mean() < 2.5


def test_the_strip_holds_the_heat_and_the_line_the_signal() -> None:
    values = attribution("occlusion_w10")
    figure = drawing.sample_heatmap(beat(), values, title="one", evidence=evidence(), **CLINICAL)
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), heat(values))
    np.testing.assert_allclose(axes.lines[0].get_ydata(), beat()[0])
    colours = axes.collections[0].get_colors()
    assert colours.shape == (STEPS - 1, 4)
    np.testing.assert_allclose(colours[50], HEAT(heat(values)[0, 50:52].mean()), atol=1 / 255)


def test_evidence_is_shaded_where_it_lies() -> None:
    mask = evidence()
    mask[200:] = True
    figure = drawing.sample_heatmap(beat(), attribution("random"), title="one", evidence=mask[None], **CLINICAL)
    spans = {(round(span.get_x(), 1), round(span.get_width(), 1)) for span in figure.axes[0].patches}
    step = 1000 / RATE
    expected = {(30, 30), (200, 16)}
    assert spans == {(round((start - 108.5) * step, 1), round(length * step, 1)) for start, length in expected}


def test_the_direction_of_the_scale_is_written() -> None:
    high = drawing.sample_heatmap(beat(), attribution("random"), title="x", **CLINICAL)
    low = drawing.sample_heatmap(beat(), attribution("random"), title="x", high_is_important=False, **CLINICAL)
    assert "heat, scaled per map (1 = most important)" in texts(high)
    assert "heat, scaled per map (1 = least important)" in texts(low)
    assert sum("low = important" in text for text in texts(all_explainers())) == 1


def test_signed_and_unsigned_maps_get_their_own_scale() -> None:
    bars = [text for text in texts(all_explainers()) if "scaled per map" in text]
    assert bars == ["heat, scaled per map (1 = most important)", "signed, scaled per map (0 = no effect)"]


def test_channels_share_one_scale_within_a_map() -> None:
    values = np.stack([np.linspace(0, 1, STEPS), np.linspace(0, 4, STEPS)])
    geometry = Geometry(("ECG", "ABP"), ("mV", "mmHg"), 50.0)
    figure = drawing.all_explainers(beat(2), {"occlusion_w10": values}, title="two", geometry=geometry)
    assert figure.axes[0].images[0].get_array().max() == pytest.approx(0.25)
    assert figure.axes[1].images[0].get_array().max() == pytest.approx(1)
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["ECG\n(mV)", "ABP\n(mmHg)"]


def test_channels_keep_their_own_scale_of_the_signal() -> None:
    signal = np.stack([beat()[0], 80 + 40 * beat()[0], 22 + beat()[0]])
    figure = drawing.sample_heatmap(signal, attribution("random", 3), title="three", geometry=BEDSIDE)
    tops = [axes.get_ylim()[1] for axes in figure.axes[:3]]
    assert tops == pytest.approx([1.12, 124.8, 23.12], rel=0.01)
    assert figure.axes[2].get_xlabel() == "time (s)"


def test_figure_three_is_a_grid_of_classes_by_explainers() -> None:
    figure = figure_three()
    cells = figure.axes[: len(CLASSES) * len(EXPLAINERS)]
    drawn = np.array([len(cell.images) for cell in cells]).reshape(len(CLASSES), len(EXPLAINERS))
    assert drawn[3, 1] == 0
    assert drawn.sum() == drawn.size - 1
    unsigned = cells[EXPLAINERS.index("gradient_abs")].images[0]
    assert (unsigned.get_array().min(), unsigned.get_array().max()) == (0, 1)
    assert unsigned.get_cmap().name == HEAT.name
    signed = cells[EXPLAINERS.index("gradient")].images[0]
    assert signed.get_cmap().name == SIGNED.name
    assert np.abs(signed.get_array() - 0.5).max() == pytest.approx(0.5)


def test_many_explainers_go_on_in_a_second_band() -> None:
    names = [f"occlusion_w{width}" for width in range(1, 12)]
    maps = {label: {name: attribution(name) for name in names} for label in ("N", "V")}
    figure = drawing.class_by_explainer(dict.fromkeys(maps, beat()), maps, title="many", **CLINICAL)
    cells = [axes for axes in figure.axes if axes.images]
    assert len(cells) == 22
    assert len({round(cell.get_position().x0, 6) for cell in cells}) == 6
    titles = [cell.get_title() for cell in cells if cell.get_title()]
    assert titles == [wrapped(name, 11) for name in names]


def test_mean_strips_are_coloured_row_by_row() -> None:
    quiet, loud = np.linspace(0, 0.001, STEPS)[None], np.linspace(0, 9, STEPS)[None]
    figure = drawing.class_mean_heatmaps(
        {"N": beat()}, {"N": {"occlusion_w5": quiet, "occlusion_w10": loud}}, title="means", **CLINICAL
    )
    image = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(image[0], image[1])
    np.testing.assert_allclose(image[1, -1], HEAT(1.0))


@pytest.mark.parametrize(("signal", "values"), [(beat(), np.ones((1, 5))), (beat()[0], beat()[0])])
def test_wrong_shapes_are_named(signal: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"has shape \(.*\); expected"):
        drawing.all_explainers(signal, {"gradient": values}, title="x", **CLINICAL)


def test_curves_are_drawn_in_order_with_controls_grey_and_broken() -> None:
    figure = drawing.perturbation_curves(curves(("zero",)), title="curves")
    morf, lerf = figure.axes[:2]
    assert "MoRF" in morf.get_title("left")
    assert "LeRF" in lerf.get_title("left")
    line = morf.lines[EXPLAINERS.index("integrated_gradients")]
    np.testing.assert_allclose(line.get_xdata(), [0, 0.5, 1])
    np.testing.assert_allclose(line.get_ydata(), [5, 4, 3])
    assert len(morf.collections) == len(EXPLAINERS)
    for name in ("random", "amplitude"):
        control = morf.lines[EXPLAINERS.index(name)]
        assert same_color(control.get_color(), UNDECIDED)
        assert control.is_dashed()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == EXPLAINERS[:2]
    assert legend[-2:] == ["random (control)", "amplitude (control)"]


def test_curves_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"lacks \['baseline'\]"):
        drawing.perturbation_curves(curves().drop(columns="baseline"), title="x")
    with pytest.raises(ValueError, match=r"orders.*sideways.*expected 'morf' or 'lerf'"):
        drawing.perturbation_curves(curves().assign(order="sideways"), title="x")
    with pytest.raises(ValueError, match="no rows"):
        drawing.perturbation_curves(curves()[:0], title="x")


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_forest_colours_the_winner_and_points_its_way(higher_is_better: bool) -> None:
    figure = drawing.forest(comparison(), metric="AUC", higher_is_better=higher_is_better, title="pairs")
    axes = figure.axes[0]
    points = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    expected = [FIRST, SECOND, UNDECIDED, UNDECIDED, UNDECIDED]
    assert [to_hex(point.get_color()) for point in points] == expected
    assert [point.get_ydata()[0] for point in points] == [0, 1, 2, 3, 4]
    arrows = {text.get_text(): text.get_position()[0] for text in axes.texts if "more faithful" in text.get_text()}
    left = "← second more faithful" if higher_is_better else "← first more faithful"
    assert arrows[left] == 0.0
    assert len(arrows) == 2
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]


def test_forest_writes_numbers_beside_the_marks() -> None:
    written = texts(drawing.forest(comparison(), metric="AUC", higher_is_better=False, title="pairs"))
    assert {"−0.110 [−0.140, −0.080]", "<0.001", "37 of 40", "undefined"} <= set(written)


def test_overview_sorts_the_best_to_the_top_and_marks_controls() -> None:
    def order(higher_is_better: bool) -> list[str]:
        figure = drawing.metric_overview(
            overview(), metric="deletion_auc", higher_is_better=higher_is_better, title="overview"
        )
        axes = figure.axes[0]
        assert axes.get_ylim()[0] > axes.get_ylim()[1], "row 0 is on top"
        return [label.get_text() for label in axes.get_yticklabels()]

    assert order(False)[0] == "occlusion_w10"
    assert order(True)[0] == "random (control)"
    assert order(False)[-1] == order(True)[-1] == "amplitude (control)", "undefined comes last"


def test_overview_refuses_two_baselines_and_absent_metrics() -> None:
    twice = pd.concat([overview(), overview()])
    with pytest.raises(ValueError, match=r"several rows of 'deletion_auc'.*one baseline"):
        drawing.metric_overview(twice, metric="deletion_auc", higher_is_better=False, title="x")
    with pytest.raises(ValueError, match="'aopc' has no rows"):
        drawing.metric_overview(overview(), metric="aopc", higher_is_better=True, title="x")


def test_subgroups_place_levels_in_rows_with_counts() -> None:
    figure = FIGURES["subgroups"]()
    first = figure.axes[0]
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["female  (n = 12)", "male  (n = 13)", "under 45  (n = 14)", "80 and over  (n = 15)"]
    assert "undefined" in [text.get_text() for text in first.texts]
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [dot.get_ydata()[0] for dot in dots] == sorted(dot.get_ydata()[0] for dot in dots)
    assert len({axes.get_xlim() for axes in figure.axes[: len(EXPLAINERS)]}) == 1


def test_confusion_shares_are_of_the_true_class() -> None:
    figure = drawing.confusion([[3, 1, 0], [0, 4, 0], [0, 0, 0]], ["a", "b", "c"])
    assert {"3\n75.0%", "1\n25.0%", "4\n100.0%"} <= set(texts(figure))
    shares = figure.axes[0].images[0].get_array()
    assert np.ma.getmaskarray(shares)[2].all()
    assert not np.ma.getmaskarray(shares)[:2].any()
    with pytest.raises(ValueError, match=r"shape \(2, 3\); expected \(3, 3\)"):
        drawing.confusion(np.ones((2, 3)), ["a", "b", "c"])


def test_styles_depend_on_the_name_alone() -> None:
    known = [explainer_style(name)["color"] for name in EXPLAINERS[:5]]
    assert len(set(known)) == 5
    assert explainer_style("occlusion_w10-paper")["color"] == explainer_style("occlusion_w10")["color"]
    assert explainer_style("occlusion_w10-paper")["linestyle"] != "-"
    colours = [to_rgb(explainer_style(f"occlusion_w{width}")["color"]) for width in (1, 3, 5, 10, 20, 40)]
    assert (np.diff(np.array(colours) ** 2.2 @ [0.2126, 0.7152, 0.0722]) < 0).all(), "wider is darker"
    variants = ["w10", "w10_v0.5", "w10_vmean", "w10_vmode", "w10_single", "w10-paper", "w5x5", "w5x5_v0.5", "w5"]
    looks = {tuple(map(str, explainer_style(f"occlusion_{variant}").values())) for variant in variants}
    assert len(looks) == len(variants)
    assert explainer_style("occlusion_w400") == explainer_style("occlusion_w40")


def test_wrapped_names_lose_no_letter() -> None:
    assert wrapped("integrated_gradients", 11) == "integrated_\ngradients"
    assert wrapped("occlusion_w10-paper", 40) == "occlusion_w10-paper"
    assert wrapped("a $ b", 40) == r"a \$ b"
    assert wrapped("occlusion", 4) == "occlusion", "no empty line after a word that is too long"
    assert fitted("occlusion of beats", 4) == "occl…\nof\nbeats"


def test_png_is_small_true_to_colour_and_repeatable() -> None:
    figure = all_explainers()
    png = drawing.png_bytes(figure)
    exact = io.BytesIO()
    figure.savefig(exact, format="png", dpi=120)
    wanted = np.asarray(Image.open(exact).convert("RGB")).astype(int)
    got = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    assert got.shape == wanted.shape
    assert got.shape[1] == 1200
    assert np.abs(got - wanted).mean() < 1
    assert np.abs(got - wanted).max() < 48
    assert len(png) < len(exact.getvalue()) / 2
    assert drawing.png_bytes(figure) == png


@given(hnp.arrays(np.uint8, (7, 9, 3)))
@settings(max_examples=20, deadline=None)
def test_a_palette_that_suffices_changes_nothing(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(_with_palette(pixels).convert("RGB")), pixels)


def test_threads_draw_what_one_draws_alone() -> None:
    names = ["sample_heatmap", "confusion", "metric_overview", "sample_heatmap"]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda name: drawing.png_bytes(FIGURES[name]()), names))
    assert together == [drawing.png_bytes(FIGURES[name]()) for name in names]


def test_global_state_is_left_alone() -> None:
    script = (
        "import sys, matplotlib as m, numpy as n\n"
        "state = lambda: {name: m.rcParams[name] for name in m.rcParams if name != 'backend'}\n"
        "before = state()\n"
        "from tasks import drawing as d\n"
        "g = d.Geometry(('ECG',), ('mV',), 1.)\n"
        "d.png_bytes(d.sample_heatmap(n.ones((1, 9)), n.arange(9.)[None], geometry=g, title='t'))\n"
        "assert state() == before and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
