"""The report as a browser shows it: images there, nothing fetched, no errors, usable when narrow or dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plotly.graph_objects import Figure as InteractiveFigure

from tasks.drawing import Geometry, confusion, interactive_heatmaps, sample_heatmap
from tasks.reporting.interactive import write_interactive
from tasks.reporting.page import Picture, Report, Section, write_report

ALL_LOADED = "document.readyState === 'complete' && [...document.images].every(image => image.complete)"


BEAT = Geometry(("MLII",), ("mV",), 360.0, origin=108)
EXPLORE = """
const button = document.querySelectorAll('button.explore')[arguments[0]];
button.scrollIntoView({block: 'start', behavior: 'instant'}); button.click();
"""
DRAWN = "document.querySelectorAll('.live[data-drawn] .main-svg').length > 0"
PRESS = """
const press = (element) => element.dispatchEvent(new MouseEvent('click', {bubbles: true}));
press(document.querySelector('.updatemenu-header'));
setTimeout(() => press(document.querySelectorAll('.updatemenu-dropdown-button')[1]), 100);
"""


def beat() -> np.ndarray:
    return np.exp(-((np.arange(216) - 108) ** 2) / 60)[None]


def interactive() -> InteractiveFigure:
    maps = {"gradient": np.gradient(beat()[0])[None], "occlusion_w10": np.abs(np.gradient(beat()[0]))[None]}
    return interactive_heatmaps({"<b>N</b>": beat()}, {"<b>N</b>": maps}, geometry=BEAT, title="one beat")


def digit() -> InteractiveFigure:
    image = np.zeros((9, 7))
    image[2:6, 3] = 1.0
    scan = Geometry(("intensity",), ("intensity",), 1.0, image=(9, 7))
    values = image.reshape(1, -1)
    return interactive_heatmaps({"1": values}, {"1": {"amplitude": values * 0.7}}, geometry=scan, title="one digit")


@pytest.fixture
def page(tmp_path: Path) -> str:
    heat = sample_heatmap(
        beat(), np.abs(np.gradient(beat()[0]))[None], geometry=BEAT, title="one beat", evidence=beat()[0] > 0.5
    )
    table = pd.DataFrame({f"column {number}": [1.23456, float("nan")] for number in range(14)})
    section = Section(
        "Beats <script>document.title = 'owned'</script>",
        "One beat.",
        [Picture("a beat", heat, interactive()), Picture("classes", confusion([[3, 1], [0, 4]], ["N", "<b>V</b>"]))],
        [("wide", table)],
    )
    verdicts = ["occlusion_w10 is more faithful than gradient: deletion AUC -0.11 [-0.14, -0.08]"]
    report = Report("ecg-beats", "a test page", verdicts, [("subjects", 40)], [section, Section("Next")])
    return write_report(tmp_path / "report.html", report).as_uri()


def test_every_image_is_drawn_without_errors_or_requests(browser: Any, page: str) -> None:
    browser.open(page)
    browser.wait_for(ALL_LOADED)
    widths = browser.driver.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 2
    assert all(width > 0 for width in widths)
    assert browser.console_errors() == []
    assert [address for address in browser.requests() if not address.startswith("data:")] == [page]
    assert browser.driver.title == "ecg-beats"
    assert browser.screenshot("report").stat().st_size > 10_000


def test_a_failed_request_would_be_seen(browser: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text("<img src='missing.png'><script>undefinedName()</script>")
    browser.open(broken.as_uri())
    browser.wait_for(ALL_LOADED)
    assert len(browser.console_errors()) >= 2
    assert any(address.endswith("/missing.png") for address in browser.requests())


def test_a_phone_scrolls_tables_and_not_the_page(browser: Any, page: str) -> None:
    browser.open(page, width=390, height=844)
    browser.wait_for(ALL_LOADED)
    inside, page_width = browser.driver.execute_script(
        "return [document.querySelector('.scroll').scrollWidth, document.documentElement.scrollWidth]"
    )
    assert page_width <= 390 < inside
    browser.screenshot("report-phone")


def test_dark_readers_get_a_dark_page_and_white_figures(browser: Any, page: str) -> None:
    browser.open(page, dark=True)
    colours = browser.driver.execute_script(
        "return [document.body, document.querySelector('.picture')]"
        ".map(element => getComputedStyle(element).backgroundColor)"
    )
    assert colours == ["rgb(20, 24, 29)", "rgb(255, 255, 255)"]
    browser.screenshot("report-dark")


def _hover(browser: Any) -> str:
    """What the figure says of the point in its middle."""
    x, y = _middle(browser)
    browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x - 3, "y": y})
    browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    browser.wait_for("document.querySelector('.hoverlayer .hovertext') !== null")
    return str(browser.driver.execute_script("return document.querySelector('.hoverlayer').textContent"))


def _middle(browser: Any) -> tuple[int, int]:
    left, top, width, height = browser.driver.execute_script(
        "const panel = document.querySelector('.live .nsewdrag');"
        "panel.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const box = panel.getBoundingClientRect();"
        "return [box.left, box.top, box.width, box.height]"
    )
    return round(left + width / 2), round(top + height / 2)


def test_a_figure_is_explored_when_a_reader_asks(browser: Any, page: str) -> None:
    browser.open(page)
    browser.wait_for(ALL_LOADED)
    assert browser.driver.execute_script("return document.querySelectorAll('.main-svg').length") == 0
    assert not browser.driver.execute_script("return 'Plotly' in window"), "the page opens without the library"
    browser.driver.execute_script(EXPLORE, 0)
    browser.wait_for(DRAWN)
    still = "getComputedStyle(document.querySelector('.still')).display"
    assert browser.driver.execute_script(f"return {still}") == "none"
    words = _hover(browser)
    assert all(part in words for part in ("<b>N</b>", "time: ", "MLII: ", "attribution: ")), words
    browser.screenshot("report-explored", whole_page=False)
    browser.driver.execute_script("document.querySelector('button.explore').click()")
    assert browser.driver.execute_script(f"return {still}") == "block"
    assert browser.console_errors() == []
    assert [address for address in browser.requests() if not address.startswith("data:")] == [page]
    assert browser.driver.title == "ecg-beats", "no other script has run"


def test_the_menu_changes_the_colours(browser: Any, page: str) -> None:
    browser.open(page)
    browser.driver.execute_script(EXPLORE, 0)
    browser.wait_for(DRAWN)
    key = "document.querySelector('.live .infolayer').textContent"
    assert "signed, scaled per map" in browser.driver.execute_script(f"return {key}")
    browser.driver.execute_script(PRESS)
    browser.wait_for(f"{key}.includes('1 = most important')")
    values = "document.querySelector('.live').data[1].marker"
    ends = browser.driver.execute_script(f"return [{values}.cmin, Math.min(...{values}.color)]")
    assert ends[0] == pytest.approx(ends[1], abs=1e-6)
    assert browser.console_errors() == []


def test_on_paper_there_is_the_still_picture(browser: Any, page: str) -> None:
    browser.open(page)
    browser.driver.execute_script(EXPLORE, 0)
    browser.wait_for(DRAWN)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = browser.driver.execute_script(
        "return ['.still', '.twin', '.explore'].map(name => getComputedStyle(document.querySelector(name)).display)"
    )
    assert shown == ["block", "none", "none"]


def test_without_scripts_there_is_the_still_picture_and_no_dead_button(browser: Any, page: str) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.open(page)
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    shown = browser.driver.execute_script(
        "return ['.still', '.twin', '.explore'].map(name => getComputedStyle(document.querySelector(name)).display)"
    )
    assert shown == ["block", "none", "none"]


def test_on_a_phone_an_explored_figure_scrolls_inside_its_frame(browser: Any, page: str) -> None:
    browser.open(page, width=390, height=844)
    browser.driver.execute_script(EXPLORE, 0)
    browser.wait_for(DRAWN)
    inside, page_width = browser.driver.execute_script(
        "return [document.querySelector('.live').offsetWidth, document.documentElement.scrollWidth]"
    )
    assert page_width <= 390 < inside
    browser.screenshot("report-explored-phone")


def test_a_figure_is_a_page_of_its_own_even_in_a_sandbox(browser: Any, tmp_path: Path) -> None:
    """Tracking servers show artifacts in a frame that may run scripts and nothing else."""
    alone = write_interactive(tmp_path / "figure.html", digit(), "one digit").as_uri()
    browser.open(alone)
    browser.wait_for(DRAWN)
    words = _hover(browser)
    assert "row 4, column 3" in words, words
    assert "intensity: 1" in words
    assert "attribution: 0.7" in words
    browser.screenshot("figure-alone")
    frame = tmp_path / "framed.html"
    frame.write_text(f"<iframe sandbox='allow-scripts' width=900 height=600 src='{alone}'></iframe>")
    browser.open(frame.as_uri())
    browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe"))
    browser.wait_for(DRAWN)
    browser.driver.switch_to.default_content()
    assert browser.console_errors() == []
    outside = [address for address in browser.requests() if not address.startswith(("data:", "file:", "about:"))]
    assert outside == []
