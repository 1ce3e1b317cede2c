"""Volumes in a browser: the sliders and menus do what they say, fast, and nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.drawing import Geometry, interactive_heatmaps
from tasks.reporting.interactive import write_interactive

SHAPE = (19, 48, 48)
BRAIN = Geometry(tuple("abcdef"), ("",) * 6, 1.0, volume=SHAPE)
DRAWN = "document.querySelectorAll('.live[data-drawn] .main-svg').length > 0"
FIGURE = "document.querySelector('.live')"
TOGGLE = "document.querySelector('.updatemenu-button').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
CLICK_LABEL = """
const press = (element) => element.dispatchEvent(new MouseEvent('click', {bubbles: true}));
press(document.querySelectorAll('.updatemenu-header')[arguments[0]]);
setTimeout(() => press(document.querySelectorAll('.updatemenu-dropdown-button')[arguments[1]]), 100);
"""


@pytest.fixture
def page(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[12, 20:30, 20:30] = True
    ramp = np.broadcast_to(np.arange(19.0)[:, None, None], (6, *SHAPE)).copy()
    maps = {"depth": ramp, **{f"noise {number}": rng.normal(size=(6, *SHAPE)) for number in range(5)}}
    figure = interactive_heatmaps(
        {"lesion": rng.random((6, *SHAPE))}, {"lesion": maps}, geometry=BRAIN, title="slices", evidence={"lesion": mask}
    )
    return write_interactive(tmp_path / "slices.html", figure, "slices").as_uri()


def hovered(browser: Any) -> str:
    """What the figure says of the point right of its middle."""
    box = browser.driver.execute_script(
        "const box = document.querySelector('.live .nsewdrag').getBoundingClientRect();"
        "return [box.left + 0.6 * box.width, box.top + 0.6 * box.height]"
    )
    for step in (3, 0):
        where = {"type": "mouseMoved", "x": box[0] - step, "y": box[1]}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", where)
    browser.wait_for("document.querySelector('.hoverlayer .hovertext') !== null")
    return str(browser.driver.execute_script("return document.querySelector('.hoverlayer').textContent"))


def step_to(browser: Any, slider: int, step: int) -> None:
    """Clicks a step of a slider where it lies on its rail."""
    rail = browser.driver.execute_script(
        "const box = document.querySelectorAll('.slider-rail-touch-rect')[arguments[0]].getBoundingClientRect();"
        "return [box.left, box.top, box.width, box.height]",
        slider,
    )
    steps = browser.driver.execute_script(f"return {FIGURE}.layout.sliders[arguments[0]].steps.length", slider)
    x = rail[0] + 10 + (rail[2] - 20) * step / (steps - 1)
    for kind in ("mousePressed", "mouseReleased"):
        where = {"type": kind, "x": x, "y": rail[1] + rail[3] / 2, "button": "left", "clickCount": 1}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", where)


def test_a_reader_scrolls_through_slices_and_chooses_maps(browser: Any, page: str) -> None:
    browser.open(page)
    browser.wait_for(DRAWN)
    assert "67 %" in hovered(browser), "slice 13 of 19 holds 12 of at most 18"
    browser.screenshot("slices", whole_page=False)
    step_to(browser, 0, 4)
    browser.wait_for(f"{FIGURE}.layout.yaxis.range[0] === 5 * 48 - 0.5")
    assert "22 %" in hovered(browser)
    browser.driver.execute_script(CLICK_LABEL, 0, 5)
    browser.wait_for(f"{FIGURE}.layout.xaxis.range[0] === 5 * 48 - 0.5")
    assert browser.driver.execute_script(f"return {FIGURE}.layout.yaxis.range[0]") == 5 * 48 - 0.5, "same slice"
    browser.driver.execute_script(CLICK_LABEL, 1, 2)
    browser.wait_for(f"{FIGURE}.data[3].visible === true && {FIGURE}.data[1].visible === false")
    step_to(browser, 1, 0)
    browser.wait_for(f"{FIGURE}.data[3].opacity === 0")
    step_to(browser, 2, 3)
    browser.wait_for(f"{FIGURE}.data[3].zmax === 10")
    for shown in ("false", "true"):
        browser.driver.execute_script(TOGGLE)
        browser.wait_for(f"{FIGURE}.data[7].visible === {shown}")
    browser.screenshot("slices-chosen", whole_page=False)
    assert browser.console_errors() == []
    assert [address for address in browser.requests() if not address.startswith("data:")] == [page]


def test_slices_are_square_and_no_neighbour_is_seen(browser: Any, page: str) -> None:
    browser.open(page, width=900)
    browser.wait_for(DRAWN)
    width, height = browser.driver.execute_script(
        "const box = document.querySelector('.live .nsewdrag').getBoundingClientRect(); return [box.width, box.height]"
    )
    assert width == pytest.approx(height, abs=1)
    ranges = browser.driver.execute_script(f"return [{FIGURE}.layout.xaxis.range, {FIGURE}.layout.yaxis.range]")
    assert ranges == [[-0.5, 47.5], [13 * 48 - 0.5, 12 * 48 - 0.5]]
