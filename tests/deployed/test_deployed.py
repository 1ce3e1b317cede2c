"""The main job on PostgreSQL, an object store and passwords: what lies where, and who gets in."""

from __future__ import annotations

import httpx


def test_models_and_heatmaps_lie_in_the_bucket_and_nowhere_else(deployment):
    keys = deployment.store.keys("production/")
    assert any(key.endswith(".safetensors") for key in keys)
    assert any("/heatmaps/" in key and key.endswith(".png") for key in keys)
    assert any(key.endswith("report.html") for key in keys)
    home = deployment.installation.home
    assert not (home / "artifacts").exists()
    assert not [path for path in home.rglob("*.db*") if path.parent.name != "tmp"]


def test_without_the_password_nothing_is_answered(deployment):
    for url in (
        f"{deployment.mlflow}/api/2.0/mlflow/experiments/search?max_results=5",
        f"{deployment.prefect}/deployments/count",
    ):
        ask = httpx.post if "deployments" in url else httpx.get
        assert ask(url, timeout=60).status_code == 401
        assert ask(url, timeout=60, auth=("plumbline", "another-password")).status_code == 401
        assert ask(url, timeout=60, auth=deployment.auth).status_code == 200
