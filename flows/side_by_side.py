"""Several studies at once: a process each, with its share of the cores, on one Prefect server.

A small LSTM gains nothing from a second thread, so two studies on two cores take little longer than one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import torch
from mlflow.tracking import MlflowClient
from prefect.server.api.server import SubprocessASGIServer

from tasks.chatter import silence_libraries
from tasks.evaluating.evaluation import Mode

from .main_job import Outcome, run_study
from .study import Scale


def run_studies(
    folders: Mapping[str, str | None], scale: Scale, mode: Mode, options: Mapping[str, str] | None = None
) -> list[Outcome]:
    """Runs the main job of every study in ``folders``, which gives each one's recordings; outcomes in that order.

    ``options``, where given, must be options of every one of them.

    With one study, or one thread to use, everything stays in this process. A study that fails lets the others
    end first.
    """
    threads = torch.get_num_threads()
    workers = min(len(folders), threads)
    if workers <= 1:
        return [run_study(study, data, scale, mode, options) for study, data in folders.items()]
    MlflowClient().search_experiments(max_results=1)  # the tracking database is made once, not by all at once
    with (
        _one_prefect_server(),
        ProcessPoolExecutor(workers, get_context("spawn"), _settle_in, (threads // workers,)) as pool,
    ):
        jobs = [pool.submit(run_study, study, data, scale, mode, options) for study, data in folders.items()]
        return [job.result() for job in jobs]


def _settle_in(threads: int) -> None:
    torch.set_num_threads(threads)
    silence_libraries()


@contextmanager
def _one_prefect_server() -> Iterator[None]:
    """A server for the processes that start within; the one of `plumbline up`, if it runs, is used instead."""
    if "PREFECT_API_URL" in os.environ:
        yield
        return
    server = SubprocessASGIServer()
    server.start()
    os.environ["PREFECT_API_URL"] = server.api_url
    try:
        yield
    finally:
        del os.environ["PREFECT_API_URL"]
        server.stop()
