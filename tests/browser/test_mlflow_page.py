"""MLflow's own page of an evaluation, as people see it: heatmaps, the image grid, the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import STUDY, Installation
from support import free_port

RUN = f"""
import json, mlflow
runs = mlflow.search_runs(experiment_names=["plumbline/{STUDY}"], output_format="list",
                          filter_string="tags.`plumbline.job` = 'faithfulness' and tags.`plumbline.explainer` = 'all'")
print(json.dumps([runs[0].info.experiment_id, runs[0].info.run_id]))
"""


@pytest.fixture(scope="module")
def page(judged: Installation) -> Iterator[str]:
    """Address of the evaluation's run on a real MLflow server over the installation's database."""
    experiment, run = json.loads(judged.python(RUN).strip().splitlines()[-1])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "-w", "1"]
    command += ["--backend-store-uri", f"sqlite:///{judged.home / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(judged.home / "artifacts")]
    environment = {
        **judged.environment,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        _wait_for(f"{url}/health")
        yield f"{url}/#/experiments/{experiment}/runs/{run}"
        server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2)
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail(f"{url} did not answer within 180 s")


def test_the_overview_shows_the_primary_metric_of_every_explainer(browser, page: str) -> None:  # type: ignore[no-untyped-def]
    browser.open(page, width=1500, height=1600)
    browser.sees("deletion_auc/occlusion_w10")
    browser.screenshot("mlflow-run-overview")
    text = browser.driver.execute_script("return document.body.innerText")
    assert "deletion_auc/gradient" in text
    assert "plumbline.mode" in text


LOOK_UP_AND_DOWN = """
(() => {
  window.seen ??= new Set(); window.lookedDown = !window.lookedDown;
  for (const pane of document.querySelectorAll('*'))
    if (pane.scrollHeight > pane.clientHeight + 200 && getComputedStyle(pane).overflowY !== 'visible')
      pane.scrollTop = window.lookedDown ? pane.scrollHeight : 0;
  for (const found of document.body.innerText.matchAll(/heatmaps\\/(\\S+)/g)) window.seen.add(found[1]);
  const drawn = [...document.images].filter(i => i.src.includes('heatmaps') && i.naturalWidth > 100).length;
  window.mostDrawn = Math.max(window.mostDrawn ?? 0, drawn);
  return WANTED.every(name => window.seen.has(name)) && window.mostDrawn >= WANTED.length;
})()
"""
"""The grid is drawn lazily: panes are scrolled to their end and back until every class has been seen."""


def test_the_image_grid_shows_a_heatmap_of_every_class(browser, page: str) -> None:  # type: ignore[no-untyped-def]
    classes = ["normal", "LBBB", "RBBB", "paced", "PVC"]
    browser.open(f"{page}/model-metrics", width=1500, height=1600)
    browser.sees("deletion_auc")
    assert browser.wait_for(LOOK_UP_AND_DOWN.strip().replace("WANTED", json.dumps(classes)), 240)
    browser.screenshot("mlflow-image-grid")


def test_the_artifacts_show_a_figure(browser, page: str) -> None:  # type: ignore[no-untyped-def]
    browser.open(f"{page}/artifacts/figures/paper1-fig3.png", width=1500, height=1000)
    assert browser.wait_for("[...document.images].some(i => i.naturalWidth > 600)", 180)
    browser.screenshot("mlflow-figure3")


def test_the_artifacts_show_the_report(browser, page: str) -> None:  # type: ignore[no-untyped-def]
    browser.open("about:blank")
    browser.open(f"{page}/artifacts/report.html", width=1500, height=1000)
    browser.wait_for("document.querySelector('iframe[src^=blob]') !== null", 180)
    browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe[src^=blob]"))
    browser.sees("Most faithful on the mean")
    assert "is more faithful than gradient" in browser.driver.execute_script("return document.body.innerText")
    browser.driver.switch_to.default_content()
    browser.screenshot("mlflow-report")


def test_a_person_walks_from_the_experiments_to_a_heatmap(browser, page: str) -> None:  # type: ignore[no-untyped-def]
    browser.open(f"{page.partition('#')[0]}#/experiments", width=1700, height=1000)
    browser.click("Model training")  # MLflow's page begins with its tools for language models
    browser.click(f"plumbline/{STUDY}", "a")
    run = browser.wait_for("[...document.querySelectorAll('a')].find(a => a.textContent.startsWith('faithfulness v'))")
    run.click()
    browser.click("Artifacts", "[role=tab]")
    for folder in ("heatmaps", "PVC"):
        browser.click(folder)
    name = browser.wait_for("document.body.innerText.match(/\\S+-occlusion_w10\\.png/)?.[0]")
    browser.click_until(name, "[...document.images].some(i => i.naturalWidth > 400)")
    browser.screenshot("mlflow-walk-heatmap", whole_page=False)
    assert f"heatmaps/PVC/{name}" in browser.driver.execute_script("return location.href + document.body.innerText")
