"""Prefect's own pages, as people see them: from a deployment to what its run found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from copying import copy_whole
from installation import STUDY, Installation
from support import free_port

DEPLOYMENT = f"faithfulness-{STUDY}"


@pytest.fixture(scope="module")
def installed(judged: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A finished installation whose service is up."""
    ports = {"PLUMBLINE_MLFLOW_PORT": str(free_port()), "PLUMBLINE_PREFECT_PORT": str(free_port())}
    copy = copy_whole(
        judged, tmp_path_factory.mktemp("service") / "home", ports | {"PREFECT_WORKER_QUERY_SECONDS": "2"}
    )
    try:
        up = copy.plumbline("up")
        assert up.returncode == 0, up.stderr
        yield copy
    finally:
        copy.plumbline("down")


def test_a_person_walks_from_the_deployments_to_the_judgement(browser, installed: Installation) -> None:  # type: ignore[no-untyped-def]
    pages = f"http://127.0.0.1:{installed.settings['PLUMBLINE_PREFECT_PORT']}"
    browser.open(f"{pages}/deployments", width=1500, height=1000)
    browser.click(DEPLOYMENT, "a")
    browser.click("Run", "button")
    browser.click("Quick run")
    browser.sees("Run Deployment")  # the parameters, to be looked over
    browser.click("Run", "button")
    runs = "document.querySelectorAll('a[href^=\"/runs/flow-run/\"]')"
    run = browser.wait_for(f"{runs}[1]")  # the first is the one that is due at night
    run.click()
    browser.sees("Unchanged", 900)
    browser.click("Artifacts")
    browser.sees("What the evaluation found")
    browser.screenshot("prefect-run-artifacts", whole_page=False)
    browser.click(f"{DEPLOYMENT}-verdicts")
    browser.sees("occlusion_w10 is more faithful than gradient")
    browser.screenshot("prefect-verdicts", whole_page=False)
    browser.driver.back()
    browser.click("Artifacts")
    browser.click(f"{DEPLOYMENT}-comparisons")
    browser.sees("p_adjusted")
    assert "occlusion_w10" in browser.driver.execute_script("return document.body.innerText")
    browser.screenshot("prefect-comparisons", whole_page=False)
