"""The figures of the regression show every coefficient, what is significant, and what could not be estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tasks.drawing.coefficient_forest import coefficient_forest
from tasks.drawing.coefficients import coefficient_heatmaps, stars
from tasks.drawing.style import SIGNED
from tests.tasks.drawing.sleep_tables import CLASSES, GROUPS, MODELS, PARTS, TWINS, coefficients


def heatmaps() -> Figure:
    return coefficient_heatmaps(coefficients(), TWINS, GROUPS, title="T")


def cell_of(figure: Figure, panel: int, part: int, group: int) -> Rectangle:
    return figure.axes[panel].patches[part * len(CLASSES) + group]


def test_a_cell_is_coloured_by_its_coefficient_and_white_where_it_is_not_significant() -> None:
    table, figure = coefficients(), heatmaps()
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(panels) == 6
    ols = table[(table["model"] == "ols") & (table["factor"] == "medication")].set_index(["part", "true"])
    both = table[table["model"].isin(TWINS) & (table["factor"] == "medication") & (table["q"] < 0.05)]
    most = both["coefficient"].abs().max()
    for part, name in enumerate(PARTS):
        for group, label in enumerate(CLASSES):
            row, face = ols.loc[(name, label)], cell_of(figure, 0, part, group).get_facecolor()
            shade = SIGNED(0.5 + row["coefficient"] / most / 2) if row["q"] < 0.05 else "white"
            assert same_color(face, shade), (name, label)
    texts = [text.get_text() for text in panels[0].texts]
    first = ols.loc[(PARTS[0], CLASSES[0])]
    assert texts[0] == f"{first['coefficient']:+.1f}".replace("-", "−") + stars(first["q"])
    assert texts[1] == f"{first['ci_low']:.1f} to\n{first['ci_high']:.1f}".replace("-", "−")


@pytest.mark.parametrize(
    ("chance", "marks"), [(0.00099, "**"), (0.001, "*"), (0.0099, "*"), (0.01, ""), (1.0, ""), (np.nan, "")]
)
def test_stars_have_strict_bounds(chance: float, marks: str) -> None:
    assert stars(chance) == marks


def test_what_cannot_be_estimated_is_hatched_with_its_note_and_not_counted() -> None:
    figure = heatmaps()
    corrected = figure.axes[1]
    hatched = [number for number, patch in enumerate(corrected.patches) if patch.get_hatch()]
    assert hatched == [1, 6, 11]
    assert [text.get_text() for text in corrected.texts].count("too few\nsubjects") == 3
    (counts,) = [text.get_text() for text in figure.texts if "estimated" in text.get_text()]
    assert "corrected (subject means): 36 of 45 coefficients estimated" in counts
    assert "2 to 22 subjects" in counts


def test_a_long_reason_stands_under_the_figure_only() -> None:
    table = coefficients()
    table["note"] = table["note"].replace("too few subjects", "the fit did not converge: singular matrix")
    figure = coefficient_heatmaps(table, TWINS, GROUPS, title="T")
    assert [text.get_text() for text in figure.axes[1].texts].count("no\nestimate") == 3
    (counts,) = [text.get_text() for text in figure.texts if "estimated" in text.get_text()]
    assert "the fit did not converge: singular matrix: 9" in " ".join(counts.split())


def test_coefficients_of_two_explainers_or_of_no_model_are_refused() -> None:
    twice = pd.concat([coefficients(), coefficients().assign(explainer="another")])
    with pytest.raises(ValueError, match="several rows for"):
        coefficient_heatmaps(twice, TWINS, GROUPS, title="T")
    with pytest.raises(ValueError, match=r"lack the models \['bayes'\]"):
        coefficient_heatmaps(coefficients(), {"bayes": "B"}, GROUPS, title="T")


def test_the_forest_has_a_row_per_group_and_model() -> None:
    table = coefficients()
    panel = coefficient_forest(table, PARTS[1], GROUPS, title="T").axes[2]
    points = {line.get_ydata()[0]: line for line in panel.lines if line.get_marker() == "o"}
    row = table.query("factor == 'age' and true == 'REM' and model == 'mixed' and part == @PARTS[1]").iloc[0]
    point = points[4 * (len(MODELS) + 1) + MODELS.index("mixed")]
    assert point.get_xdata()[0] == row["coefficient"]
    assert same_color(point.get_markerfacecolor(), "white") == (row["q"] >= 0.05)
    assert [text.get_text() for text in panel.texts] == ["no estimate"] * 3
    with pytest.raises(ValueError, match="'ECG' has no rows"):
        coefficient_forest(table, "ECG", GROUPS, title="T")
