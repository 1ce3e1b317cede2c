"""The report of a study: one self-contained HTML page, for screens, phones and paper."""

from __future__ import annotations

import base64
import math
import numbers
import re
import struct
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from plotly.graph_objects import Figure as InteractiveFigure

from ..drawing import png_bytes
from .interactive import STILL_POLICY, environment, figure_json, packed, scripts, write_at_once

UNDEFINED = "undefined"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A captioned figure: the ``still`` one, and where there is one its ``interactive`` twin.

    The still one is a Matplotlib ``Figure`` or the bytes of a PNG, the interactive one a Plotly figure or its
    JSON. It is drawn when a reader asks for it; on paper and without scripts there is the still one.
    """

    caption: str
    still: bytes | Figure
    interactive: InteractiveFigure | str | None = None


@dataclass(frozen=True)
class Section:
    """One chapter: paragraphs (parted by empty lines), figures, captioned tables.

    All text is plain: markup in it is shown, not interpreted.
    """

    title: str
    text: str = ""
    figures: Sequence[Picture] = ()
    tables: Sequence[tuple[str, pd.DataFrame]] = ()


@dataclass(frozen=True)
class Report:
    """What the page says: the verdicts on top, then the facts, then the sections."""

    title: str
    subtitle: str
    verdicts: Sequence[str] = ()
    facts: Sequence[tuple[str, object]] = ()
    sections: Sequence[Section] = ()


def write_report(path: str | Path, report: Report) -> Path:
    """Writes the page to ``path`` in one step, so that no reader meets half a page; returns the path.

    The same report gives the same bytes. ValueError where a figure's bytes are no PNG or its text no JSON of
    an interactive figure; OSError where the folder cannot be written.
    """
    return write_at_once(Path(path), render_report(report))


def render_report(report: Report) -> str:
    """The page as text, with its styles, images and scripts inside; nothing in it asks for another file.

    Scripts are in it only where a figure is interactive.
    """
    sections = [_section(section) for section in report.sections]
    facts = [(label, format_value(value)) for label, value in report.facts]
    explored = scripts() if any(image.packed for section in sections for image in section.figures) else None
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            facts=facts,
            sections=sections,
            scripts=explored,
            policy=explored.policy if explored else STILL_POLICY,
        )
    )


def format_value(value: Any) -> str:
    """A cell as people read it: 3 significant digits, ``[a, b]`` for a pair, "undefined" for NaN or None.

    Whole numbers keep all their digits, and so do the whole parts of numbers from 1,000 on.
    """
    if isinstance(value, pd.Interval):
        value = (value.left, value.right)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if value is None or value is pd.NA or value is pd.NaT:
        return UNDEFINED
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    if isinstance(value, numbers.Real):
        return _real(float(value))
    return str(value)


def _real(value: float) -> str:
    if math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    if size < -4:
        return f"{value:.2e}"
    return f"{value:,.{max(2 - size, 0)}f}"


@dataclass(frozen=True)
class _Cell:
    text: str
    kind: str


@dataclass(frozen=True)
class _Table:
    caption: str
    header: list[_Cell]
    rows: list[list[_Cell]]


@dataclass(frozen=True)
class _Image:
    caption: str
    data: str
    width: int
    height: int
    packed: str


@dataclass(frozen=True)
class _Section:
    title: str
    paragraphs: list[str]
    figures: list[_Image]
    tables: list[_Table]


def _section(section: Section) -> _Section:
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", section.text) if part.strip()]
    figures = [_image(picture) for picture in section.figures]
    return _Section(section.title, paragraphs, figures, [_table(*table) for table in section.tables])


def _image(picture: Picture) -> _Image:
    data = png_bytes(picture.still) if isinstance(picture.still, Figure) else picture.still
    if not data.startswith(_PNG_SIGNATURE):
        raise ValueError(f"the figure {picture.caption!r} starts with {data[:8]!r}; expected the bytes of a PNG.")
    width, height = struct.unpack(">II", data[16:24])
    twin = packed(figure_json(picture.interactive)) if picture.interactive is not None else ""
    return _Image(picture.caption, base64.b64encode(data).decode("ascii"), width, height, twin)


def _table(caption: str, table: pd.DataFrame) -> _Table:
    """Bounds become one column, whole numbers that a gap has turned into floats are whole again."""
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index(allow_duplicates=True)
    if isinstance(table.columns, pd.MultiIndex):
        table = table.set_axis([" ".join(str(part) for part in key if part != "") for key in table.columns], axis=1)
    table = _with_intervals(table)
    columns = [_column(table.iloc[:, place]) for place in range(table.shape[1])]
    header = [_Cell(str(name), cells[1]) for name, cells in zip(table.columns, columns, strict=True)]
    rows = [
        [_Cell(cells[0][row], UNDEFINED if cells[0][row] == UNDEFINED else cells[1]) for cells in columns]
        for row in range(len(table))
    ]
    return _Table(caption, header, rows)


def _with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Columns ``*ci_low`` and ``*ci_high`` joined to ``*interval``, where the lower bound stood."""
    joined: dict[Hashable, Any] = {}
    names = list(table.columns)
    for place, name in enumerate(names):
        text = str(name)
        if "ci_low" in text and (partner := text.replace("ci_low", "ci_high")) in names:
            bounds = zip(table[name], table[partner], strict=True)
            pairs = [None if pd.isna(low) and pd.isna(high) else (low, high) for low, high in bounds]
            joined[text.replace("ci_low", "interval")] = pd.Series(pairs, index=table.index, dtype=object)
        elif not ("ci_high" in text and text.replace("ci_high", "ci_low") in names):
            joined[name if name not in joined else f"{name} ({place})"] = table.iloc[:, place]
    return pd.DataFrame(joined, index=table.index)


def _column(values: pd.Series) -> tuple[list[str], str]:
    """The texts of a column and whether they are numbers (set flush right) or words."""
    if pd.api.types.is_float_dtype(values):
        known = values.dropna()
        if len(known) and (known % 1 == 0).all() and (known.abs() < 1e15).all():
            whole = [None if pd.isna(value) else int(value) for value in values]
            values = pd.Series(whole, index=values.index, dtype=object)
    numeric = all(_is_number(value) for value in values)
    return [format_value(value) for value in values], "number" if numeric else "word"


def _is_number(value: Any) -> bool:
    if isinstance(value, (tuple, list, pd.Interval)):
        return True
    return value is None or (isinstance(value, numbers.Real) and not isinstance(value, bool))
