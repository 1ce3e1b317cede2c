"""The page says what it was given, harmlessly, in one small file."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from tasks.reporting.page import Picture, Report, Section, format_value, render_report, write_report

NASTY = "<img src=x onerror=alert(1)> & \"quotes\" 'too' </title></style><script>alert(1)</script>"


class Page(HTMLParser):
    """Tags with their attributes, and the text of every cell and heading, as a browser would read them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def picture() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 3, 2])
    return figure


def report(**changes: object) -> Report:
    table = pd.DataFrame({"explainer": ["gradient", "random"], "mean": [0.123456, np.nan], "n": [40, 3]})
    section = Section("Faithfulness", "One.\n\nTwo.", [Picture("a curve", picture())], [("the scores", table)])
    content: dict[str, object] = {
        "title": "ecg-beats",
        "subtitle": "version 3",
        "verdicts": ["gradient loses"],
        "facts": [("accuracy", 0.98512)],
        "sections": [section, Section("For whom")],
    }
    return Report(**{**content, **changes})  # type: ignore[arg-type]


def cells(table: pd.DataFrame) -> list[list[str]]:
    page = Page(render_report(report(sections=[Section("s", tables=[("t", table)])])))
    width = len(page.texts["th"])
    found = page.texts.get("td", [])
    return [page.texts["th"], *(found[start : start + width] for start in range(0, len(found), width))]


def test_verdicts_facts_contents_and_sections_come_in_this_order() -> None:
    html = render_report(report())
    order = ["gradient loses", "0.985", 'href="#section-1"', 'id="section-1"', "<p>One.</p>", "<p>Two.</p>"]
    places = [html.index(text) for text in order]
    assert places == sorted(places)
    page = Page(html)
    assert page.texts["h2"] == ["Faithfulness", "For whom"]
    assert page.texts["h1"] == ["ecg-beats"]
    links = {str(link["href"])[1:] for link in page.every("a")}
    assert links == {section["id"] for section in page.every("section")}


def test_images_are_inside_and_whole() -> None:
    images = Page(render_report(report())).every("img")
    assert len(images) == 1
    assert images[0]["alt"] == "a curve"
    data = str(images[0]["src"]).removeprefix("data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert image.size == (int(str(images[0]["width"])), int(str(images[0]["height"]))) == (240, 120)


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = render_report(report())
    page = Page(html)
    assert not page.every("script")
    assert not page.every("iframe")
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert addresses
    assert all(str(address).startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|https?://", html)
    policy = [meta["content"] for meta in page.every("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    table = pd.DataFrame({NASTY: [NASTY]}, index=pd.Index([NASTY], name=NASTY))
    sections = [Section(NASTY, NASTY, [Picture(NASTY, picture())], [(NASTY, table)]), Section("Next")]
    html = render_report(Report(NASTY, NASTY, [NASTY], [(NASTY, NASTY)], sections))
    page = Page(html)
    assert not page.every("script")
    assert len(page.every("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    for tag in ("h1", "h2", "title", "td", "th", "dt", "dd", "li"):
        assert NASTY in [text.strip() for text in page.texts[tag]], tag
    assert page.every("img")[0]["alt"] == NASTY


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (-0.11, "-0.110"),
        (0.9999, "1.00"),
        (9.999, "10.0"),
        (99.95, "100"),
        (12.3456, "12.3"),
        (1234.5, "1,234"),
        (0.000123456, "0.000123"),
        (1.2345e-7, "1.23e-07"),
        (0.0, "0"),
        (-0.0, "0"),
        (float("nan"), "undefined"),
        (float("-inf"), "-∞"),
        (None, "undefined"),
        (pd.NA, "undefined"),
        (pd.NaT, "undefined"),
        (75028, "75,028"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.500"),
        (True, "yes"),
        (np.bool_(False), "no"),
        ((-0.14, -0.08), "[-0.140, -0.0800]"),
        (pd.Interval(0.1, 0.25), "[0.100, 0.250]"),
        ("MLII", "MLII"),
    ],
)
def test_values_are_written_for_people(value: object, text: str) -> None:
    assert format_value(value) == text


@given(st.floats(-1e12, 1e12).filter(lambda value: abs(value) > 1e-300))
@settings(max_examples=200, deadline=None)
def test_three_significant_digits_survive(value: float) -> None:
    assert float(format_value(value).replace(",", "")) == pytest.approx(value, rel=0.00501)


def test_bounds_become_one_interval_column() -> None:
    table = pd.DataFrame(
        {"mean": [0.5, 0.6], "ci_low": [0.4, np.nan], "ci_high": [0.6, np.nan], "auc_ci_low": [1.5, 2]}
    )
    assert cells(table) == [
        ["mean", "interval", "auc_ci_low"],
        ["0.500", "[0.400, 0.600]", "1.50"],
        ["0.600", "undefined", "2.00"],
    ]


def test_counts_with_gaps_stay_whole_numbers() -> None:
    assert cells(pd.DataFrame({"subjects": [38.0, np.nan, 1204.0]})) == [
        ["subjects"],
        ["38"],
        ["undefined"],
        ["1,204"],
    ]


def test_a_named_index_and_stacked_columns_are_kept() -> None:
    table = pd.DataFrame({("auc", "mean"): [0.5]}, index=pd.Index(["N"], name="class"))
    assert cells(table) == [["class", "auc mean"], ["N", "0.500"]]


def test_columns_of_one_name_are_all_shown() -> None:
    assert cells(pd.DataFrame([[1, 2]], columns=["n", "n"]))[1] == ["1", "2"]


def test_numbers_stand_right_and_words_left() -> None:
    page = Page(render_report(report()))
    assert [cell["class"] for cell in page.every("th")] == ["word", "number", "number"]
    assert [cell["class"] for cell in page.every("td")] == [
        "word",
        "number",
        "number",
        "word",
        "undefined",
        "number",
    ]


def test_empty_parts_leave_no_empty_boxes() -> None:
    page = Page(render_report(Report("only a title", "")))
    assert not page.every("dl")
    assert not page.every("nav")
    assert not page.every("section")
    empty = cells(pd.DataFrame({"explainer": []}))
    assert empty == [["explainer"]]


def test_bytes_that_are_no_png_are_refused() -> None:
    with pytest.raises(ValueError, match=r"figure 'photo' starts with .*; expected the bytes of a PNG"):
        render_report(report(sections=[Section("s", figures=[Picture("photo", b"\xff\xd8\xff\xe0 jpeg")])]))


def test_writing_is_repeatable_small_and_leaves_only_the_page(tmp_path: Path) -> None:
    many = [Section(f"Section {place}", figures=[Picture("curve", picture())] * 5) for place in range(5)]
    path = write_report(tmp_path / "new" / "report.html", report(sections=many))
    first = path.read_bytes()
    assert write_report(path, report(sections=many)).read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert len(first) < 5e6


def test_a_report_that_fails_leaves_the_old_page(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", report())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="figure 'x'"):
        write_report(path, report(sections=[Section("s", figures=[Picture("x", b"")])]))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_reader_of_the_old_page_keeps_it_whole(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", report())
    with path.open(encoding="utf-8") as reader:
        write_report(path, report(title="another"))
        assert "<h1>ecg-beats</h1>" in reader.read()
    assert "<h1>another</h1>" in path.read_text(encoding="utf-8")
