"""Interactive figures travel whole, packed and harmless inside self-contained pages."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure as Still
from plotly.graph_objects import Figure, Scatter
from plotly.offline import get_plotlyjs

from tasks.reporting.interactive import figure_json, packed, read_interactive, scripts, write_interactive
from tasks.reporting.page import Picture, Report, Section, render_report

NASTY = "</script><script>alert(1)</script>"


def still() -> Still:
    figure = Still(figsize=(2, 1))
    figure.subplots().plot([1, 3, 2])
    return figure


def figure() -> Figure:
    return Figure(Scatter(x=[1, 2], y=[3, 4], name=NASTY))


def page(*pictures: Picture) -> str:
    return render_report(Report("a", "b", sections=[Section("s", figures=pictures)]))


def script_of(html: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)


def test_a_figure_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_interactive(tmp_path / "figures" / "one.html", figure(), NASTY)
    assert json.loads(read_interactive(path)) == json.loads(figure().to_json())
    again = write_interactive(tmp_path / "two.html", read_interactive(path), NASTY)
    assert again.read_bytes() == path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["one.html"]
    assert path.stat().st_size < 2_500_000, "less than half of the library unpacked"


def test_the_page_of_a_figure_obeys_no_markup_and_asks_for_nothing(tmp_path: Path) -> None:
    html = write_interactive(tmp_path / "one.html", figure(), NASTY).read_text()
    assert NASTY not in html
    assert len(script_of(html)) == 1
    assert not re.search(r"src=|url\(|@import|https?://", html)


def test_only_the_two_known_scripts_may_run() -> None:
    html = page(Picture("one", still(), figure()))
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', html)
    allowed = re.findall(r"sha256-([A-Za-z0-9+/=]+)", policy)
    (loader,) = script_of(html)
    library = gzip.decompress(base64.b64decode(scripts().library)).decode()
    assert library == get_plotlyjs()
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in (loader, library)]
    assert allowed == digests
    assert "unsafe" not in policy.split("script-src")[1]


def test_the_library_is_in_a_page_once_and_only_if_a_figure_needs_it() -> None:
    none, twice = page(Picture("one", still())), page(*[Picture("one", still(), figure())] * 2)
    assert "<script" not in none
    assert "explore" not in none.split("</style>")[1]
    assert twice.count('id="library"') == 1
    assert twice.count('data-figure="figure-') == twice.count('<button class="explore"') == 2
    assert {'id="figure-1"', 'id="figure-2"'} <= set(re.findall(r'id="figure-\d"', twice))
    assert len(twice) - len(none) < 2_200_000


def test_the_still_picture_is_there_for_readers_without_scripts() -> None:
    html = page(Picture("one", still(), figure()))
    assert html.count("<img") == 1
    assert re.search(r'<button class="explore"[^>]* hidden ', html), "a button that does nothing is not shown"


def test_text_that_is_no_figure_is_refused() -> None:
    for text in ("<div>", "[]", '{"layout": {}}', ""):
        with pytest.raises(ValueError, match="expected the JSON of a Plotly figure"):
            figure_json(text)
        with pytest.raises(ValueError, match="expected the JSON of a Plotly figure"):
            page(Picture("one", still(), text))


def test_a_page_without_a_figure_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.html"
    path.write_text("<p>nothing</p>")
    with pytest.raises(ValueError, match=r"other\.html holds no interactive figure"):
        read_interactive(path)


@given(st.text())
@settings(max_examples=30, deadline=None)
def test_packing_loses_nothing_and_repeats_itself(text: str) -> None:
    assert gzip.decompress(base64.b64decode(packed(text))).decode() == text
    assert packed(text) == packed(text)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed(text))
