"""A headless Chromium for the tests that look at pages as people do."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
)
SCREENSHOTS = Path(os.environ.get("PLUMBLINE_SCREENSHOTS", Path(__file__).parents[2] / ".screenshots"))


@dataclass(frozen=True)
class Browser:
    """The Selenium driver with the few things a test of a page needs."""

    driver: Any

    def open(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Loads the page in a window of that size (CSS pixels) and colour scheme."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        self.driver.get(url)

    def wait_for(self, script: str, seconds: float = 180) -> Any:
        """Waits until ``return <script>`` is truthy in the page and returns it."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        run = f"return {script}"
        try:
            return WebDriverWait(self.driver, seconds).until(lambda driver: driver.execute_script(run))
        except TimeoutException:
            words = self.driver.execute_script("return document.body.innerText")
            pytest.fail(f"the page never satisfied: {script}\n{self.console_errors()}\n{words}")

    def sees(self, words: str, seconds: float = 180) -> None:
        """Waits until the page shows these words."""
        self.wait_for(f"document.body.innerText.includes({json.dumps(words)})", seconds)

    def click(self, words: str, selector: str = "*", seconds: float = 180) -> None:
        """Clicks, as a person does, the innermost visible element of exactly these words."""
        wanted = f"e => e.textContent.trim() === {json.dumps(words)} && e.getClientRects().length"
        element = self.wait_for(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter({wanted}).at(-1)", seconds
        )
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def click_until(self, words: str, script: str, seconds: float = 30, times: int = 6) -> None:
        """Clicks again while the page does not satisfy ``script``: one that is still being laid out misses clicks."""
        for _ in range(times - 1):
            self.click(words)
            with suppress(pytest.fail.Exception):
                self.wait_for(script, seconds)
                return
        self.click(words)
        self.wait_for(script, seconds)

    def console_errors(self) -> list[str]:
        """What the console holds at level SEVERE since the last call: script errors, failed requests."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Addresses that pages asked for since the last call, themselves included; the browser's own not."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if not each["documentURL"].startswith("chrome")]

    def screenshot(self, name: str, *, whole_page: bool = True) -> Path:
        """Stores ``<name>.png`` under PLUMBLINE_SCREENSHOTS (default .screenshots/) and returns its path."""
        options = {"format": "png", "captureBeyondViewport": whole_page}
        if whole_page:
            size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        path = SCREENSHOTS / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A fresh browser with an empty profile; skips where Chromium, its driver or Selenium is absent."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if not chromium or not driver_path:
        pytest.skip("chromium or chromedriver is not installed (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.set_page_load_timeout(240)
        yield Browser(driver)
    finally:
        driver.quit()
