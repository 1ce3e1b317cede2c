"""The main job on PostgreSQL, an object store and passwords: what lies where, and who gets in."""

from __future__ import annotations

import os

import httpx
import psutil
import pytest
from deployment import SECRETS, Deployment
from object_store import SECRET

from tasks.service.record import read_record
from tasks.settings import Settings

STATISTICS = "/api/2.0/mlflow/experiments/search?max_results=5"


def test_models_and_heatmaps_lie_in_the_bucket_and_nowhere_else(deployment: Deployment) -> None:
    keys = deployment.store.keys("production/")
    assert any(key.endswith(".safetensors") for key in keys)
    assert any("/heatmaps/" in key and key.endswith(".png") for key in keys)
    assert any(key.endswith("report.html") for key in keys)
    assert deployment.store.keys() == keys
    home = deployment.installation.home
    assert not (home / "artifacts").exists()
    assert not list(home.rglob("*.db"))


def test_a_heatmap_comes_back_from_the_bucket(deployment: Deployment) -> None:
    printed = deployment.installation.python(
        "import mlflow\n"
        "(run,) = mlflow.search_runs(search_all_experiments=True, output_format='list',"
        " filter_string=\"tags.`plumbline.job` = 'faithfulness' and tags.`plumbline.explainer` = 'all'\")\n"
        "assert run.info.artifact_uri.startswith('s3://'), run.info.artifact_uri\n"
        "client = mlflow.MlflowClient()\n"
        "folder = client.list_artifacts(run.info.run_id, 'heatmaps')[0].path\n"
        "picture = client.list_artifacts(run.info.run_id, folder)[0].path\n"
        "print('found', open(client.download_artifacts(run.info.run_id, picture), 'rb').read(8).hex())\n"
    )
    assert "found 89504e470d0a1a0a" in printed  # how a PNG begins


def test_without_the_password_nothing_is_answered(deployment: Deployment) -> None:
    asked = {
        f"{deployment.mlflow}{STATISTICS}": httpx.get,
        f"{deployment.mlflow}/": httpx.get,
        f"{deployment.prefect}/deployments/count": httpx.post,
    }
    for url, ask in asked.items():
        assert ask(url, timeout=120).status_code == 401
        assert ask(url, timeout=120, auth=("plumbline", "another-password")).status_code == 401
        assert ask(url, timeout=120, auth=deployment.auth).status_code == 200


def test_another_name_or_page_is_refused_by_mlflow(deployment: Deployment) -> None:
    def ask(**headers: str) -> int:
        body = {"max_results": 1}
        url = f"{deployment.mlflow}/api/2.0/mlflow/experiments/search"
        return httpx.post(url, json=body, headers=headers, auth=deployment.auth, timeout=120).status_code

    assert ask() == 200
    assert ask(Host="evil.example.org") == 403
    assert ask(Host="192.168.0.7:5000") == 403  # MLflow's own list lets in every private network
    assert ask(Origin="https://evil.example.org") == 403


def test_another_page_may_not_call_prefect(deployment: Deployment) -> None:
    def preflight(origin: str) -> httpx.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return httpx.options(f"{deployment.prefect}/deployments/count", headers=headers, timeout=120)

    own = deployment.prefect.removesuffix("/api")
    assert preflight(own).headers["access-control-allow-origin"] == own
    refused = preflight("https://evil.example.org")
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


def test_no_secret_is_printed_written_or_in_a_command(deployment: Deployment) -> None:
    """Not even with every message that doctor and status have."""
    here = deployment.installation
    said = [here.plumbline("doctor"), here.plumbline("status"), here.plumbline("--debug", "evaluate", "no-such", "x")]
    assert said[0].returncode == 0, said[0].stdout
    texts = {f"command {number}": done.stdout + done.stderr for number, done in enumerate(said)}
    for path in here.home.rglob("*"):
        if path.is_file() and path.name != "pseudonym.key":
            texts[str(path)] = path.read_bytes().decode("latin-1")
    for server in read_record(Settings(home=here.home)).processes.values():
        for process in [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]:
            texts[f"process {process.pid}"] = " ".join(process.cmdline())
    found = [(place, secret) for place, text in texts.items() for secret in (*SECRETS, SECRET) if secret in text]
    assert found == []
    assert len(texts) > 50


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_the_file_of_mlflows_users_is_the_owners(deployment: Deployment) -> None:
    assert (deployment.installation.home / "basic_auth.ini").stat().st_mode & 0o777 == 0o600


@pytest.mark.soak
def test_the_whole_main_job_runs_on_the_deployed_servers(deployment: Deployment) -> None:
    done = deployment.installation.plumbline("run", "--study", "ecg-beats", timeout=1_700)
    assert done.returncode in (0, 4), done.stderr
    assert not (deployment.installation.home / "artifacts").exists()
