"""The figures of the paper's remarks show what they were given, with nothing missing or cut off."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tasks.drawing.dependence_length import dependence_length
from tasks.drawing.geometry import Geometry
from tasks.drawing.missing_values import missing_values
from tasks.drawing.negative_digit import ShownDigit, negative_digit
from tasks.drawing.sequence_length import sequence_length


def gaps(channels: tuple[str, ...] = ("all channels", "ABP $1", "ICP")) -> pd.DataFrame:
    cells = itertools.product(channels, ("zero", "held"), ("logit", "probability", "changed"), (0.1, 0.4, 0.2))
    table = pd.DataFrame(cells, columns=["channel", "filled", "quantity", "gap"])
    return table.assign(mean=table["gap"], ci_low=table["gap"] / 2, ci_high=np.nan)


def points() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "forget_bias": [-1.0, 0.0, 1.0, 0.0],
            "length": [5.0, 10.0, 40.0, np.nan],
            "width": [1.0, 5.0, 20.0, 10.0],
            "at_edge": [True, False, True, False],
        }
    )


def digits() -> list[ShownDigit]:
    pixels = np.linspace(0, 1, 12)[None]
    return [ShownDigit(name, pixels, pixels[0] > 0.5, {"block 0\npaper": (pixels, -0.5)}) for name in ("3", "$")]


IMAGE = Geometry(("pixels",), ("intensity",), 1.0, image=(3, 4))
CURVES = {-1.0: 0.5 ** np.arange(30.0), 0.0: 0.8 ** np.arange(30.0)}
FIGURES = {
    "missing values": lambda: missing_values(gaps(), unit="s", kind="subject", title="T"),
    "dependence length": lambda: dependence_length(CURVES, points(), share=0.05, note="slope 1", title="T"),
    "nothing known": lambda: dependence_length(
        CURVES, points().assign(length=np.nan), share=0.05, note="no slope", title="T"
    ),
    "sequence length": lambda: sequence_length(
        lengths(), {"excess": "excess", "agreement": "b"}, unit="steps", title="T"
    ),
    "negative digit": lambda: negative_digit(IMAGE, digits(), title="T"),
}


def lengths() -> pd.DataFrame:
    cells = itertools.product(("excess", "agreement"), ("gradient", "gradient_abs"), (27, 54, 216))
    table = pd.DataFrame(cells, columns=["quantity", "explainer", "length"])
    return table.assign(mean=0.5, ci_low=0.1, ci_high=1.0)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(name):
    figure: Figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    needed, (width, height) = figure.get_tightbbox(canvas.get_renderer()), figure.get_size_inches()
    assert needed.x0 >= 0
    assert needed.y0 >= 0
    assert needed.x1 <= width
    assert needed.y1 <= height


def test_gaps_are_drawn_from_short_to_long_by_channel():
    figure = FIGURES["missing values"]()
    assert len(figure.axes) == 6
    first = figure.axes[0].lines[0]
    assert first.get_xdata().tolist() == [0.1, 0.2, 0.4]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["all channels", r"ABP \$1", "ICP"]
    alone = missing_values(gaps(("all channels",)), unit="s", kind="subject", title="T")
    assert not alone.legends


def test_points_of_unknown_length_are_left_out_and_those_at_the_edge_are_hollow():
    figure = FIGURES["dependence length"]()
    drawn = figure.axes[1].collections
    offsets = np.concatenate([np.asarray(each.get_offsets()) for each in drawn])
    assert sorted(offsets[:, 0].tolist()) == [5.0, 10.0, 40.0]
    faces = {float(each.get_offsets()[0, 0]): each.get_facecolor()[0, :3].tolist() for each in drawn}
    assert faces[5.0] == faces[40.0] == [1.0, 1.0, 1.0]
    assert faces[10.0] != [1.0, 1.0, 1.0]
    empty = FIGURES["nothing known"]().axes[1]
    assert "no length is known" in [text.get_text() for text in empty.texts]


def test_every_digit_has_its_maps_and_its_correlation():
    figure = FIGURES["negative digit"]()
    assert len(figure.axes) == 4
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["r = −0.50"] * 2
    assert figure.axes[0].get_title() == "image"


def test_missing_columns_are_named():
    with pytest.raises(ValueError, match=r"lacks \['ci_low'\]"):
        missing_values(gaps().drop(columns="ci_low"), unit="s", kind="subject", title="T")
    with pytest.raises(ValueError, match="expected at least one image"):
        negative_digit(IMAGE, [], title="T")
