"""`plumbline fetch` as a person runs it: the licence first, exit codes, one-sentence errors."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from installation import CHECKOUT, Installation

from flows.sources import (
    CHARISDB,
    LTAFDB,
    LTDB,
    MIMIC3WDB,
    MITDB,
    MNIST,
    PICSDB,
    SLEEP_CASSETTE,
    SLEEP_TELEMETRY,
    SOURCES,
)
from tasks.listings import ChecksumList, FetchError, KnownDigests, SortedChecksumList

PROGRAM = """
import dataclasses, sys
from flows import cli, sources
from tasks.listings import ChecksumList
listing = ChecksumList("SHA256SUMS.txt", "sha256", ("*",), 1)
sources.SOURCES = {"mitdb": dataclasses.replace(sources.MITDB, url=sys.argv.pop(1), listing=listing)}
cli.main()
"""


class Silent(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


def fetch(tmp_path: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line with the address of the source, and nothing else, changed."""
    command = [sys.executable, "-c", PROGRAM, url, "fetch", *words]
    environment = Installation(tmp_path / "home").environment
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=500)


def test_the_licence_comes_first_and_exit_codes_tell(served: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = served
    (folder / "100.dat").write_bytes(b"beats")
    (folder / "SHA256SUMS.txt").write_text(f"{hashlib.sha256(b'beats').hexdigest()} 100.dat\n")
    done = fetch(tmp_path, url, "mitdb", "--to", str(tmp_path / "to"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [MITDB.title, f"licence: {MITDB.licence}"]
    assert "1 files downloaded and verified, 0 were there already" in done.stdout
    assert (tmp_path / "to" / "100.dat").read_bytes() == b"beats"

    (folder / "100.dat").write_bytes(b"wrong")
    (tmp_path / "to" / "100.dat").unlink()
    failed = fetch(tmp_path, url, "mitdb", "--to", str(tmp_path / "to"))
    assert failed.returncode == 1
    assert failed.stderr.startswith("plumbline: 100.dat has the sha256 ")
    assert "Traceback" not in failed.stderr
    assert f"licence: {MITDB.licence}" in failed.stdout


def test_an_unknown_source_is_bad_usage(tmp_path: Path) -> None:
    done = fetch(tmp_path, "http://127.0.0.1:9/", "mitbd", "--to", str(tmp_path / "to"))
    assert done.returncode == 2
    assert done.stderr.strip() == "plumbline: source is 'mitbd'; expected one of mitdb."


def wanted_of(listing: object, names: set[str]) -> set[str]:
    """What is wanted of a server that has these files."""
    assert isinstance(listing, ChecksumList)
    return {file.name for file in listing.files("".join(f"{'0' * 64} {name}\n" for name in sorted(names)))}


def test_mitdb_wants_the_records_and_nothing_else() -> None:
    record = {f"{name}.{kind}" for name in range(100, 148) for kind in ("hea", "dat", "atr")} | {"RECORDS"}
    other = {"102-0.atr", "x_mitdb/x_108.dat", "mitdbdir/src/100.hea", "100.xws", "ANNOTATORS", "x_mitdb/RECORDS"}
    assert wanted_of(MITDB.listing, record | other) == record


def test_ltafdb_and_ltdb_want_signals_and_reference_annotations(real_data) -> None:
    for listing, folder in ((LTAFDB.listing, "ltafdb-annotations"), (LTDB.listing, "ltdb-annotations")):
        names = {path.stem for path in real_data(folder).glob("*.hea")}
        record = {f"{name}.{kind}" for name in names for kind in ("hea", "dat", "atr")} | {"RECORDS"}
        other = {f"{name}.{kind}" for name in names for kind in ("qrs", "xws", "hea-")} | {"HEADER.shtml", "ANNOTATORS"}
        assert wanted_of(listing, record | other) == record
        with pytest.raises(FetchError, match=f"expected {len(record)} or more"):
            wanted_of(listing, record - {"RECORDS"})


def test_charisdb_wants_all_thirteen_records() -> None:
    record = {f"charis{number}.{kind}" for number in range(1, 14) for kind in ("hea", "dat")} | {"RECORDS"}
    assert wanted_of(CHARISDB.listing, record | {"LICENSE.txt"}) == record
    with pytest.raises(FetchError, match="lists 26 of the wanted files; expected 27 or more"):
        wanted_of(CHARISDB.listing, record - {"charis7.dat"})


def test_picsdb_wants_signals_and_no_annotations() -> None:
    kinds = {"ecg.hea", "ecg.dat", "resp.hea", "resp.dat"}
    record = {f"infant{number}_{kind}" for number in range(1, 11) for kind in kinds} | {"RECORDS"}
    other = {f"infant{number}_{kind}" for number in range(1, 11) for kind in ("ecg.atr", "ecg.qrsc", "resp.resp")}
    assert wanted_of(PICSDB.listing, record | other) == record


def test_mimic3wdb_wants_its_declared_segments_where_the_database_keeps_them() -> None:
    assert isinstance(MIMIC3WDB.listing, SortedChecksumList)
    names = MIMIC3WDB.listing.names
    assert names[:2] == ("39/3982843/3982843_0010.hea", "39/3982843/3982843_0010.dat")
    assert len(names) == len(set(names)) == 16
    assert all(re.fullmatch(r"(3\d)/(\1\d{5})/\2_\d{4}\.(hea|dat)", name) for name in names)
    assert len({name.split("/")[1] for name in names}) == 8  # as many records as segments


def test_mnist_is_known_by_digests_that_the_real_files_have(real_data) -> None:
    assert isinstance(MNIST.listing, KnownDigests)
    known = dict(MNIST.listing.digests)
    folder = real_data("mnist")
    assert known.keys() == {path.name for path in folder.iterdir()}
    for name in known.keys() - {"train-images-idx3-ubyte.gz"}:  # packed anew there: another archive, the same images
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == known[name]


def test_the_sleep_sources_are_whole_and_lie_in_the_folders_of_the_published_list(real_data) -> None:
    listed = (real_data("sleep-edf-tables") / "sleep-edfx_sha256_sizes.csv").read_text().splitlines()[1:]
    for source, count in ((SLEEP_TELEMETRY, 88), (SLEEP_CASSETTE, 306)):
        assert isinstance(source.listing, KnownDigests)
        names = {name for name, _ in source.listing.digests}
        folder = source.url.removeprefix("https://physionet.org/files/sleep-edfx/1.0.0/")
        assert len(names) == count
        # One file is listed a folder too deep, so only the last two parts are compared.
        assert {folder + name for name in names} <= {"/".join(line.split(",")[0].split("/")[-2:]) for line in listed}


def test_every_source_says_whose_it_is_and_where_it_comes_from() -> None:
    assert (
        " ".join(SOURCES)
        == "mitdb ltafdb ltdb mnist charisdb picsdb mimic3wdb sleep-telemetry sleep-cassette isles2017"
    )
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.url.startswith("https://")
        assert source.url.endswith("/")
        assert re.search(r"\d\.\d, https://(opendatacommons|creativecommons)\.org/licenses/", source.licence)
