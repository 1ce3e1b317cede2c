"""The figures of the rhythm study show every window, claim and score that they were given, and say what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text

from tasks.drawing.claims import VERDICTS, claim_forest
from tasks.drawing.interactive_rhythms import rhythm_saliency_interactive
from tasks.drawing.recorders import recorder_scores
from tasks.drawing.rhythms import RHYTHMS, SALIENCY, ShownRhythm, arranged, rhythm_saliency
from tasks.drawing.style import FIRST, SECOND, UNDECIDED
from tests.tasks.drawing.readable import assert_readable
from tests.tasks.drawing.rhythm_tables import CHOICES, METHODS, RATE, STEPS, claims, scores, windows

LONG = "a name with a $dollar$ that goes on and on, as those of recorders and of wavebands sometimes do"


def saliency(shown: list[ShownRhythm]) -> Figure:
    return rhythm_saliency(shown, rate=RATE, title="T")


def long_windows() -> list[ShownRhythm]:
    return [
        replace(window, caption=LONG, method=window.method + " trained for as long as the classifier",
                class_name="atrioventricular reentry tachycardia" if window.class_name == "SBR" else window.class_name)
        for window in windows(("N", "SBR"))
    ]  # fmt: skip


def long_claims() -> pd.DataFrame:
    return claims(("N", "supraventricular tachyarrhythmia")).assign(words=LONG, method="a mask with a long name")


FIGURES: dict[str, Callable[[], Figure]] = {
    "saliency": lambda: saliency(windows(("N", "PVC", "RBBB"))),
    "saliency, one window": lambda: saliency(windows(("AFIB",), METHODS[:1])[:1]),
    "saliency, long names": lambda: saliency(long_windows()),
    "claims": lambda: claim_forest(claims(), title="T"),
    "claims, long names": lambda: claim_forest(long_claims(), title="T"),
    "claims, nothing known": lambda: claim_forest(claims(("N",)).iloc[:1], title="T"),
    "recorders": lambda: recorder_scores(scores(), title="T"),
    "recorders, one": lambda: recorder_scores(scores(("rec-a",)), title="T"),
    "recorders, long names": lambda: recorder_scores(
        scores(("rec-a", LONG)).assign(what=LONG + "x").iloc[:2], title="T"
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_inside_readable_and_apart(name: str) -> None:
    assert_readable(FIGURES[name]())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def cells(figure: Figure) -> list[Axes]:
    """The windows' axes, row by row: the colour bar has a title as well and comes last."""
    return [
        axes
        for axes in figure.axes
        if axes.get_title(loc="left") and "scaled per map" not in axes.get_title(loc="left")
    ]


def test_a_window_is_its_dots_in_the_colours_of_its_saliency_around_the_annotation() -> None:
    shown = windows(("N", "PVC"))
    figure = saliency(shown)
    found = cells(figure)
    assert len(found) == len(shown)
    for axes, window in zip(found, shown, strict=True):
        assert axes.get_title(loc="left") == window.words
        (dots,) = axes.collections
        places = np.asarray(dots.get_offsets())
        order = np.argsort(places[:, 0])
        np.testing.assert_allclose(places[order, 0], (np.arange(STEPS) - STEPS // 2) / RATE, atol=1e-12)
        np.testing.assert_allclose(places[order, 1], window.signal)
        low, high = window.saliency.min(), window.saliency.max()
        np.testing.assert_allclose(np.asarray(dots.get_array())[order], (window.saliency - low) / (high - low))
        assert dots.get_clim() == (0, 1)
        assert dots.get_cmap().name == SALIENCY.name
        assert bool(axes.patches) == (window.evidence is not None)
    assert found[4].patches[0].get_x() == pytest.approx(-0.25)
    assert found[4].patches[0].get_width() == pytest.approx(0.4), "from the edge of its first point to that of its last"


def test_the_strongest_dots_are_drawn_last() -> None:
    (dots,) = cells(saliency(windows(("N",))))[0].collections
    drawn = np.asarray(dots.get_array())
    assert (np.diff(drawn) >= 0).all()


def test_rhythms_stand_in_the_papers_order_with_others_behind_and_the_missing_named() -> None:
    shown = windows(("other", "RBBB", "N", "AFIB"))
    order = arranged(shown, RATE)
    assert order.classes == ("N", "AFIB", "RBBB", "other")
    assert order.absent == ("PVC", "PAC", "SVTA", "SBR", "LBBB")
    assert "signal in mV; every map on its own scale; no window of PVC, PAC, SVTA, SBR, LBBB" in texts(saliency(shown))
    assert order.choices == CHOICES
    assert order.methods == METHODS


def test_a_place_without_a_window_says_so() -> None:
    shown = windows(("N", "PVC"))
    found = cells(saliency(shown[:2] + shown[3:]))
    assert len(found) == len(shown)
    assert [text.get_text() for text in found[2].texts] == ["no such window"]
    assert not found[2].collections
    assert sum(bool(axes.texts) for axes in found) == 1


@pytest.mark.parametrize(("value", "remark", "drawn"), [(3.0, "constant map", 0.0), (np.nan, "undefined map", np.nan)])
def test_a_map_without_contrast_is_said_and_not_coloured(value: float, remark: str, drawn: float) -> None:
    window = replace(windows(("N",))[0], saliency=np.full(STEPS, value))
    assert window.remark == remark
    np.testing.assert_array_equal(window.scaled, np.full(STEPS, drawn))
    (axes,) = cells(saliency([window]))
    assert axes.get_title(loc="left") == f"most confident · {remark} · p 0.90, subject 0"


@given(hnp.arrays(float, 12, elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_saliency_is_scaled_to_its_own_range_and_the_unknown_stays_unknown(values: np.ndarray) -> None:
    window = ShownRhythm("N", "m", "random", np.zeros(12), values)
    scaled = window.scaled
    known = np.isfinite(values)
    assert (np.isnan(scaled) == ~known).all()
    if known.any() and np.ptp(values[known]) > 0:
        assert (scaled[known].min(), scaled[known].max()) == (0, 1)
        assert window.remark == ""
    else:
        assert not scaled[known].any()
        assert window.remark


def test_windows_that_do_not_fit_are_named() -> None:
    window = windows(("PVC",))[0]
    with pytest.raises(ValueError, match=r"saliency of PVC \(most confident, CAM of the CNN\) has shape \(3,\)"):
        replace(window, saliency=np.zeros(3))
    with pytest.raises(ValueError, match=r"evidence of PVC .* has shape \(1, 20\); expected \(20,\)"):
        replace(window, evidence=np.ones((1, STEPS), dtype=bool))
    with pytest.raises(ValueError, match=r"signal of PVC .* has shape \(1, 20\); expected \(time,\)"):
        replace(window, signal=np.ones((1, STEPS)))
    with pytest.raises(ValueError, match=r"holds PVC \(most confident, CAM of the CNN\) twice"):
        saliency([window, window])
    short = ShownRhythm("N", "m", "random", np.zeros(5), np.zeros(5))
    with pytest.raises(ValueError, match=r"window of N \(random, m\) has 5 points; expected 20"):
        saliency([window, short])
    with pytest.raises(ValueError, match="shown is empty"):
        saliency([])
    with pytest.raises(ValueError, match="rate is 0; expected a positive"):
        rhythm_saliency([window], rate=0, title="T")


def choose(figure: Any, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the browser sets when the button of a rhythm is pressed: of the traces, and of the layout."""
    (button,) = [each for each in figure.layout.updatemenus[0].buttons if each.label == name]
    assert list(button.args[2]) == list(range(len(button.args[0]["y"])))
    return button.args[0], button.args[1]


def test_the_figure_to_explore_holds_the_same_windows_for_every_rhythm() -> None:
    shown = windows()
    figure = rhythm_saliency_interactive(shown, rate=RATE, title="T")
    assert [button.label for button in figure.layout.updatemenus[0].buttons] == list(RHYTHMS)
    for name in RHYTHMS:
        restyle, relayout = choose(figure, name)
        mine = [window for window in shown if window.class_name == name]
        for place, window in enumerate(mine):
            np.testing.assert_allclose(restyle["y"][place], window.signal, rtol=5e-3)
            np.testing.assert_allclose(restyle["marker.color"][place], window.scaled, rtol=5e-3, atol=1e-12)
            assert relayout["annotations"][place]["text"] == f"<b>{window.method}</b><br>{window.words}"
        shades = [shape for shape in relayout["shapes"] if shape["type"] == "rect"]
        assert len(shades) == (4 if name in ("PVC", "PAC") else 0)
        assert {(shape["x0"], shape["x1"]) for shape in shades} <= {(-0.25, 0.15)}
    assert (figure.data[0].x0, figure.data[0].dx) == pytest.approx((-1.0, 0.1))
    hover = figure.data[0].hovertemplate
    assert all(part in hover for part in ("%{x:.3f} s", "%{y:.3~g} mV", "saliency: %{marker.color:.3~g}"))


def test_the_first_rhythm_is_shown_before_anyone_chooses_and_zooming_is_shared() -> None:
    figure = rhythm_saliency_interactive(windows(("PVC", "N")), rate=RATE, title="T")
    restyle, relayout = choose(figure, "N")
    assert list(figure.data[3].y) == restyle["y"][3]
    assert list(figure.data[3].marker.color) == restyle["marker.color"][3]
    assert [note.text for note in figure.layout.annotations] == [note["text"] for note in relayout["annotations"]]
    leading = {axis.plotly_name.replace("axis", "") for axis in figure.select_xaxes() if axis.matches is None}
    assert {axis.matches for axis in figure.select_xaxes()} - {None} == leading
    assert figure.layout.title.subtitle.text.startswith("Choose a rhythm; no window of PAC")


def test_the_figure_to_explore_says_where_there_is_no_window_and_stays_small() -> None:
    rng = np.random.default_rng(0)
    big = [
        replace(window, signal=rng.normal(size=720), saliency=rng.random(720), evidence=None) for window in windows()
    ]
    figure = rhythm_saliency_interactive(big[:2] + big[3:], rate=360.0, title="T")
    restyle, relayout = choose(figure, "N")
    assert restyle["y"][2] == restyle["marker.color"][2] == []
    assert [note["text"] for note in relayout["annotations"]].count("no such window") == 1
    assert len(figure.to_json()) < 450_000


def test_a_name_is_no_markup_and_keeps_off_its_neighbour() -> None:
    shown = [replace(window, caption="<b>x</b>") for window in windows(("N",))]
    _, relayout = choose(rhythm_saliency_interactive(shown, rate=RATE, title="T"), "N")
    assert relayout["annotations"][0]["text"].endswith("&lt;b&gt;x&lt;/b&gt;")
    _, relayout = choose(rhythm_saliency_interactive(long_windows(), rate=RATE, title="T"), "N")
    assert all(len(line) <= 65 + len("<b></b>") for line in relayout["annotations"][1]["text"].split("<br>"))


def points(axes: Axes) -> list[Any]:
    """The lines that are one point."""
    return [line for line in axes.lines if line.get_marker() in ("o", "s", "D") and len(line.get_xdata()) == 1]


def test_every_claim_is_a_point_in_the_colour_of_its_verdict_with_its_control_hollow_below() -> None:
    table = claims()
    axes = claim_forest(table, title="T").axes[0]
    filled = [line for line in points(axes) if not same_color(line.get_markerfacecolor(), "white")]
    hollow = [line for line in points(axes) if same_color(line.get_markerfacecolor(), "white")]
    known = table.dropna(subset="value")
    np.testing.assert_allclose([line.get_xdata()[0] for line in filled], known["value"])
    colours = {"supported": FIRST, "contradicted": SECOND, "undecided": UNDECIDED}
    for line, verdict in zip(filled, known["verdict"], strict=True):
        assert same_color(line.get_color(), colours[verdict])
    assert [line.get_xdata()[0] for line in hollow] == [0.05] * len(table)
    for value, control in zip(filled, hollow[1:], strict=True):
        assert value.get_ydata()[0] < control.get_ydata()[0] < value.get_ydata()[0] + 1
    words = [text.get_text() for text in axes.texts]
    assert {word: words.count(word) for word in VERDICTS} == known["verdict"].value_counts().to_dict()
    assert "−0.300 [−0.400, −0.200]" in words


def test_an_undefined_claim_is_written_out_and_no_rhythm_is_named_twice() -> None:
    axes = claim_forest(claims(), title="T").axes[0]
    words = [text.get_text() for text in axes.texts]
    assert words.count("undefined") == 1
    assert [words.count(name) for name in RHYTHMS] == [1] * 8


def test_the_rows_of_a_rhythm_come_together() -> None:
    table = claims(("N", "PVC"))
    apart = table.iloc[[0, 2, 1, 3]]
    for one, other in zip(
        claim_forest(table, title="T").axes[0].texts, claim_forest(apart, title="T").axes[0].texts, strict=True
    ):
        assert (one.get_text(), one.get_position()) == (other.get_text(), other.get_position())


def test_another_verdict_is_named() -> None:
    with pytest.raises(ValueError, match=r"verdicts \['plausible'\]; expected some of \['supported', "):
        claim_forest(claims().replace("supported", "plausible"), title="T")


def test_scores_are_grouped_with_chance_and_the_unknown_is_said() -> None:
    table = scores()
    axes = recorder_scores(table, title="T").axes[0]
    known = table.dropna(subset="value")
    found = points(axes)
    np.testing.assert_allclose([line.get_xdata()[0] for line in found], known["value"])
    assert [same_color(line.get_markerfacecolor(), "white") for line in found] == [False] * 4 + [True], "no interval"
    bars = [line.get_xdata()[0] for line in axes.lines if np.ptp(line.get_ydata()) > 0]
    assert bars == [0.5, 0.5, 0.125, 0.125]
    words = [text.get_text() for text in axes.texts]
    assert "undefined   (chance unknown)" in words
    assert "0.60 (no interval)   (chance unknown)" in words
    assert "0.90 [0.80, 1.00]" in words
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rec-a", "rec-b"] * 3
    places = axes.get_yticks()
    assert np.diff(places).min() == 1
    assert len(np.unique(places)) == 6


def test_a_recorder_has_one_colour_and_values_outside_0_to_1_are_seen() -> None:
    table = scores()
    table.loc[0, ["value", "ci_low"]] = [-0.2, -0.4]
    axes = recorder_scores(table, title="T").axes[0]
    first, second, third, *_ = points(axes)
    assert same_color(first.get_color(), third.get_color())
    assert not same_color(first.get_color(), second.get_color())
    assert axes.get_xlim()[0] < -0.4
    assert axes.get_xlim()[1] == pytest.approx(1.02)


def test_a_recorder_that_occurs_twice_in_a_score_is_named() -> None:
    twice = pd.concat([scores(), scores().iloc[[1]]])
    with pytest.raises(ValueError, match="several rows of 'rec-b' for 'recorder'"):
        recorder_scores(twice, title="T")


@pytest.mark.parametrize(
    ("draw", "table", "column"),
    [(claim_forest, claims(), "control_low"), (claim_forest, claims(), "words"), (recorder_scores, scores(), "chance")],
)
def test_a_missing_column_is_named(draw: Callable[..., Figure], table: pd.DataFrame, column: str) -> None:
    with pytest.raises(ValueError, match=rf"lacks \['{column}'\]"):
        draw(table.drop(columns=column), title="T")
    with pytest.raises(ValueError, match="has no rows"):
        draw(table.iloc[:0], title="T")
