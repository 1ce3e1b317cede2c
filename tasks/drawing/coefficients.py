"""Figure 4 of Ellis et al. (2021): what age, sex and drug do to the shares of relevance, model beside model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .intervals import digits_for
from .layout import Margins, grid, inches
from .style import INK, MUTED, RULE, SIGNED, SMALL, TEXT, WIDTH, heading, plain, require_columns, tidy, wrapped

COLUMNS = (
    "group", "part", "model", "factor", "coefficient", "ci_low", "ci_high", "q", "n_epochs", "n_subjects", "note",
)  # fmt: skip
SIGNIFICANT = 0.05
"""A q-value below it is coloured."""
MARKS = ((0.001, "**"), (0.01, "*"))
"""The paper's marks of a q-value below a bound, the strictest first; none below 0.05 alone."""
_ROW = 0.62
_SIDE_BY_SIDE = 10
"""Cells in a row of the figure up to which a cell holds its texts; more models go under each other."""
_LEFT, _RIGHT = 0.95, 1.05
_LONGEST_NOTE, _LINE = 24, 145
"""Letters of a note that a cell holds (a longer one stands under the figure only), and of a line under it."""


def coefficient_heatmaps(
    coefficients: pd.DataFrame,
    models: Mapping[str, str],
    groups: Mapping[str, str],
    *,
    title: str,
    unit: str = "percentage points",
    samples: str = "epochs",
) -> Figure:
    """A heat-map parts by groups for each factor (row) and model (column), with every interval written in its cell.

    ``coefficients`` has the columns group, part, model, factor, coefficient, ci_low, ci_high, q, n_epochs,
    n_subjects and note, a row per coefficient of one explainer. ``models`` and ``groups`` give those to show, in
    order, and their labels: a model's family of tests should be named in its label. The colours of a factor are
    symmetric around 0 and shared by its models, so that these compare; where q >= 0.05 the cell is white, where
    nothing could be estimated hatched, with the note. ``unit`` is the shares', ``samples`` what n_epochs counts.
    ValueError where a column or a model is missing, or a cell has several rows.
    """
    require_columns(coefficients, COLUMNS, "coefficients")
    rows = coefficients[coefficients["model"].isin(list(models)) & coefficients["group"].isin(list(groups))]
    _require_models(rows, models)
    factors, parts = list(dict.fromkeys(rows["factor"])), list(dict.fromkeys(rows["part"]))
    columns = len(models) if len(models) * len(groups) <= _SIDE_BY_SIDE else 1
    labels, counts = [wrapped(label, 10) for label in groups.values()], _counts(rows, models, samples)
    under = 0.2 + 0.15 * max(label.count("\n") + 1 for label in labels)
    bottom = under + 0.3 + 0.17 * (counts.count("\n") + 1)
    margins = Margins(_LEFT, _RIGHT, 0.95, bottom, between_columns=0.18, between_rows=under + 0.2)
    figure, axes = grid(len(factors) * len(models) // columns, columns, _ROW * len(parts), margins)
    for factor, panels in zip(factors, axes.reshape(len(factors), len(models)), strict=True):
        _draw_factor(panels, rows[rows["factor"] == factor], parts, list(groups), models)
        for panel in panels[columns - 1 :: columns]:
            _colour_bar(figure, panel, _scale(rows[rows["factor"] == factor]))
    for line in axes:
        line[0].set_yticks(range(len(parts)), labels=[wrapped(part, 11) for part in parts])
    for panel in axes.flat:
        panel.set_xticks(range(len(groups)), labels=labels)
    scale = "white: not significant; coloured: q < 0.05, * q < 0.01, ** q < 0.001"
    heading(figure, title, f"coefficient ({unit} per unit of the factor) and interval; {scale}")
    figure.text(0.12 / WIDTH, 0.1 / figure.get_figheight(), counts, size=SMALL, color=MUTED,
                va="bottom", linespacing=1.4)  # fmt: skip
    return figure


def stars(chance: float) -> str:
    """``**``, ``*`` or nothing for a q-value; nothing where it is undefined."""
    return next((mark for bound, mark in MARKS if chance < bound), "")


def _require_models(rows: pd.DataFrame, models: Mapping[str, str]) -> None:
    missing = [model for model in models if model not in set(rows["model"])]
    if missing:
        raise ValueError(f"coefficients lack the models {missing} in these groups; expected {list(models)}.")
    cells = rows[["model", "factor", "part", "group"]]
    if cells.duplicated().any():
        twice = cells[cells.duplicated()].iloc[0].tolist()
        raise ValueError(f"coefficients have several rows for {twice}; expected those of one explainer.")


def _scale(rows: pd.DataFrame) -> Normalize:
    """Symmetric around zero, to the largest significant coefficient, else the largest."""
    sizes = rows["coefficient"].abs()
    found = sizes[rows["q"] < SIGNIFICANT].max()
    most = found if np.isfinite(found) else sizes.max()
    most = float(most) if np.isfinite(most) and most > 0 else 1.0
    return Normalize(-most, most)


def _draw_factor(
    panels: Iterable[Axes], rows: pd.DataFrame, parts: Sequence[str], groups: Sequence[str], models: Mapping[str, str]
) -> None:
    """A panel per model, all with the scale and the digits of the factor."""
    scale, digits = _scale(rows), digits_for(rows["coefficient"])
    for (model, label), panel in zip(models.items(), panels, strict=True):
        _panel(panel, rows[rows["model"] == model], parts, groups, scale, digits)
        name = f"{plain(rows['factor'].iloc[0])} – {plain(label)}"
        panel.set_title(name, size=TEXT, weight="bold", color=INK, loc="left", pad=4)


def _panel(
    axes: Axes, rows: pd.DataFrame, parts: Sequence[str], groups: Sequence[str], scale: Normalize, digits: int
) -> None:
    known = {(row["part"], row["group"]): row for _, row in rows.iterrows()}
    for place, part in enumerate(parts):
        for column, group in enumerate(groups):
            _cell(axes, column, place, known.get((part, group)), scale, digits)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    tidy(axes)
    axes.tick_params(length=0, labelbottom=True)
    axes.spines[:].set_visible(False)


def _cell(axes: Axes, column: int, place: int, row: pd.Series | None, scale: Normalize, digits: int) -> None:
    corner = (column - 0.5, place - 0.5)
    if row is None or not np.isfinite(row["coefficient"]):
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="#eef0f3", edgecolor="#c9cfd7", hatch="///", linewidth=0.5))
        note = _note(row) if row is not None and len(_note(row)) <= _LONGEST_NOTE else "no estimate"
        axes.text(column, place, wrapped(note, 9), size=SMALL, color=INK, ha="center", va="center",
                  bbox={"facecolor": "#eef0f3", "edgecolor": "none", "pad": 1})  # fmt: skip
        return
    significant = row["q"] < SIGNIFICANT
    face = SIGNED(scale(row["coefficient"])) if significant else (1.0, 1.0, 1.0, 1.0)
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor=RULE, linewidth=0.6))
    dark = np.dot(face[:3], (0.3, 0.59, 0.11)) < 0.5
    ink = "white" if dark else INK if significant else MUTED
    axes.text(column, place - 0.2, f"{row['coefficient']:+.{digits}f}{stars(row['q'])}".replace("-", "−"), size=TEXT,
              weight="bold" if significant else "normal", color=ink, ha="center", va="center")  # fmt: skip
    axes.text(column, place + 0.2, _bounds(row, digits), size=SMALL, color=ink, ha="center", va="center")


def _note(row: pd.Series) -> str:
    return str(row["note"]) if row["note"] and not pd.isna(row["note"]) else "no estimate"


def _bounds(row: pd.Series, digits: int) -> str:
    if not np.isfinite(row["ci_low"]):
        return "no interval"
    return f"{row['ci_low']:.{digits}f} to\n{row['ci_high']:.{digits}f}".replace("-", "−")


def _colour_bar(figure: Figure, panel: Axes, scale: Normalize) -> None:
    place, (width, height) = panel.get_position(), figure.get_size_inches()
    axes = inches(figure, place.x1 * width + 0.15, place.y0 * height, 0.12, place.height * height)
    bar = figure.colorbar(ScalarMappable(scale, SIGNED), cax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, labelcolor=INK, color=MUTED, length=2)
    bar.ax.locator_params(axis="y", nbins=5)


def _counts(rows: pd.DataFrame, models: Mapping[str, str], samples: str) -> str:
    """Per model: how many coefficients it estimated, on how many subjects and samples, and why not the others."""
    lines = []
    for model, label in models.items():
        own = rows[rows["model"] == model]
        estimated = own[np.isfinite(own["coefficient"])]
        significant = int((estimated["q"] < SIGNIFICANT).sum())
        reasons = own[~np.isfinite(own["coefficient"])].apply(_note, axis="columns", result_type="reduce")
        why = "".join(f"; {note}: {count}" for note, count in reasons.value_counts(sort=False).items())
        lines += wrap(
            f"{label}: {len(estimated)} of {len(own)} coefficients estimated, {significant} significant; "
            f"{_span(own['n_subjects'])} subjects, {_span(own['n_epochs'])} {samples} per group{why}",
            _LINE,
        )
    return plain("\n".join(lines))


def _span(counts: pd.Series) -> str:
    known = counts.dropna()
    if known.empty:
        return "?"
    low, high = int(known.min()), int(known.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
