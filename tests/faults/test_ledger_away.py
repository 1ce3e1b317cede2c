"""The ledger's PostgreSQL goes away for a while: writers wait for it, and say so when it does not come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from faults.network import Cable
from postgres import postgres_server
from sqlalchemy import make_url

from tasks.ledger import Evaluation, LedgerError, begin, evaluations, open_ledger


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def cable(server: str) -> Iterator[Cable]:
    port = make_url(server).port
    assert port is not None, "a cable leads to a port"
    laid = Cable(port)
    yield laid
    laid.close()


def _through(cable: Cable, server: str) -> str:
    return make_url(f"{server}/postgres").set(port=cable.port).render_as_string(hide_password=False)


def _entry(key: str) -> Evaluation:
    return Evaluation(
        key=key, study="s", job="j", mode="m", model_name="n", model_version="1", cohort_digest="d", configuration={}
    )


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_a_writer_waits_for_the_server(server: str, cable: Cable, how: str) -> None:
    ledger = open_ledger(_through(cable, server))
    written = threading.Event()

    def write() -> None:
        begin(ledger, _entry(how))
        written.set()

    with getattr(cable, how)():
        writer = threading.Thread(target=write)
        writer.start()
        assert not written.wait(2.0)
    writer.join(60)
    assert written.is_set()
    assert how in {each.key for each in evaluations(ledger, "s")}
    ledger.close()


def test_a_server_that_stays_away_is_an_error_of_one_sentence(server: str, cable: Cable) -> None:
    with cable.refused(), pytest.raises(LedgerError, match=r"^The ledger postgresql.* failed: .*\.$"):
        open_ledger(_through(cable, server), wait=0.5)


def test_a_database_that_does_not_exist_is_not_waited_for(server: str) -> None:
    with pytest.raises(LedgerError, match='database "nowhere" does not exist'):
        open_ledger(f"{server}/nowhere", wait=3_600)
