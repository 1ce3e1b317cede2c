"""What is new in an inbox: whole recordings, hostile names, files under way, versions, a bucket."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.cohorts.groups import group_files
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.phantoms.ms_lesions import write_phantom as write_ms
from tasks.cohorts.phantoms.sleep_spindles import write_phantom as write_spindles
from tasks.cohorts.phantoms.sleep_stages import write_phantom as write_stages
from tasks.cohorts.phantoms.stroke_lesions import write_phantom as write_strokes
from tasks.cohorts.pseudonyms import names_behind, recording_pseudonym
from tasks.cohorts.wfdb_beats import read_beats
from tasks.errors import PlumblineError, UsageError
from tasks.watching.arriving import SETTLED_SECONDS, Inbox, look_into
from tasks.watching.inbox import inbox_folder
from tasks.watching.reading import read_arrivals

KEY = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "ecg"
    write_phantom(folder, subjects=3, seed=3, beats_per_class=2)
    return folder


@pytest.fixture
def inbox(phantom: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "inbox" / "ecg-beats"
    shutil.copytree(phantom, folder)
    return settle(folder)


def settle(folder: Path, moment: float = NOW - 2 * SETTLED_SECONDS) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (moment, moment))
    return folder


def look(folder: Path, tmp_path: Path, known: set[tuple[str, str]] | None = None, reader: str = "wfdb_beats") -> Inbox:
    digests = tmp_path / "digests.json"
    return look_into(folder.resolve(), reader, key=KEY, known=known or set(), digests=digests, now=NOW)


def seen(found: Inbox) -> set[tuple[str, str]]:
    return {(each.id, each.digest) for each in found.new}


def test_only_what_is_new_is_new(inbox: Path, tmp_path: Path) -> None:
    found = look(inbox, tmp_path)
    assert [each.name for each in found.new] == ["p0001", "p0002", "p0003"]
    assert found.new[0].files == ("p0001.atr", "p0001.dat", "p0001.evd", "p0001.hea")
    assert not look(inbox, tmp_path, seen(found)).new
    (inbox / "p0002.atr").write_bytes((inbox / "p0001.atr").read_bytes())
    settle(inbox, NOW - 500)
    (changed,) = look(inbox, tmp_path, seen(found)).new
    assert changed.name == "p0002"
    assert changed.id == found.new[1].id


def test_a_line_about_a_recording_is_part_of_it_and_of_no_other(inbox: Path, tmp_path: Path) -> None:
    before = look(inbox, tmp_path)
    (inbox / "subjects.csv").write_text("recording,subject,age\np0003,ann,50\n")
    settle(inbox)
    assert [each.name for each in look(inbox, tmp_path, seen(before)).new] == ["p0003"]


def test_what_is_being_copied_waits_and_is_said(inbox: Path, tmp_path: Path) -> None:
    os.utime(inbox / "p0001.dat", (NOW - 5, NOW - 5))
    (inbox / "p0003.dat").unlink()
    found = look(inbox, tmp_path)
    assert [each.name for each in found.new] == ["p0002"]
    assert found.waiting == {
        recording_pseudonym("p0001", KEY): "a file changed in the last 60 s",
        recording_pseudonym("p0003", KEY): "1 of its files are not there yet",
    }


@pytest.mark.parametrize("name", ["a\nb", "<b>x", "sub/a'; DROP TABLE looks", "\udcffx"])
def test_hostile_names_are_refused_unread_and_never_told(inbox: Path, tmp_path: Path, name: str) -> None:
    target = inbox / f"{name}.hea"
    target.parent.mkdir(exist_ok=True)
    shutil.copy(inbox / "p0001.hea", target)
    settle(inbox)
    found = look(inbox, tmp_path)
    assert list(found.refused) == [recording_pseudonym(name, KEY)]
    assert len(found.readable) == 3
    assert name not in repr(found.new) + repr(found.refused)


def test_a_link_or_a_header_that_leads_out_of_the_inbox_is_not_followed(inbox: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.dat"
    secret.write_bytes(b"secret" * 1000)
    (inbox / "p0001.dat").unlink()
    (inbox / "p0001.dat").symlink_to(secret)
    header = inbox / "p0002.hea"
    header.write_text(header.read_text().replace("p0002.dat", "../../secret.dat"))
    settle(inbox)
    found = look(inbox, tmp_path)
    assert recording_pseudonym("p0001", KEY) in found.refused
    batch = read_arrivals.fn(found, "ecg-beats", read_beats, key=KEY, root=tmp_path / "home")
    assert set(batch.quarantined) == {recording_pseudonym("p0001", KEY), recording_pseudonym("p0002", KEY)}
    assert set(batch.recordings.values()) == {each.id for each in found.readable}


def test_reasons_name_no_file_and_who_has_the_key_finds_the_name(inbox: Path, tmp_path: Path) -> None:
    for path in list(inbox.glob("p0002.*")):
        path.rename(path.with_name(path.name.replace("p0002", "Mueller_1950")))
    (inbox / "Mueller_1950.hea").write_text((inbox / "Mueller_1950.hea").read_text().replace("p0002", "Mueller_1950"))
    (inbox / "Mueller_1950.atr").unlink()
    settle(inbox)
    found = look(inbox, tmp_path)
    batch = read_arrivals.fn(found, "ecg-beats", read_beats, key=KEY, root=tmp_path / "home")
    (told,) = batch.quarantined
    assert "Mueller" not in str(batch.quarantined)
    assert names_behind(inbox, KEY)[told] == "Mueller_1950"


def test_a_reader_that_gives_up_on_all_still_takes_the_good_ones(inbox: Path, tmp_path: Path) -> None:
    def fragile(folder: Path, *, key: bytes, out: Path) -> object:
        if (folder / "p0002.hea").exists():
            raise KeyError("p0002")
        return read_beats(folder, key=key, out=out)

    batch = read_arrivals.fn(look(inbox, tmp_path), "ecg-beats", fragile, key=KEY, root=tmp_path / "home")
    assert batch.quarantined == {recording_pseudonym("p0002", KEY): "the reader failed on it (KeyError)."}
    assert batch.cohort is not None


def test_a_full_disk_is_no_fault_of_a_recording(inbox: Path, tmp_path: Path) -> None:
    def full(folder: Path, *, key: bytes, out: Path) -> object:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        read_arrivals.fn(look(inbox, tmp_path), "ecg-beats", full, key=KEY, root=tmp_path / "home")


@pytest.mark.parametrize(
    ("reader", "write", "subjects", "files"),
    [
        ("edf_stages", write_stages, 2, {2, 3}),
        ("dreams_spindles", write_spindles, 2, {5}),
        ("isles", write_strokes, 2, {7}),
        ("open_ms", write_ms, 2, {5}),
    ],
)
def test_every_reader_knows_its_recordings(reader, write, subjects, files, tmp_path: Path) -> None:
    write(tmp_path / "phantom", subjects=subjects)
    found = group_files((tmp_path / "phantom").resolve(), reader)
    assert len(found) >= subjects
    assert len(found) % subjects == 0
    assert {len(each.files) for each in found} <= files
    assert not any(each.missing for each in found)


def test_a_hypnogram_waits_for_its_recording(tmp_path: Path) -> None:
    (tmp_path / "ST7011JP-Hypnogram.edf").touch()
    (found,) = group_files(tmp_path.resolve(), "edf_stages")
    assert found.missing


def test_an_unknown_reader_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reader is 'x'; expected one of wfdb_beats"):
        group_files(tmp_path, "x")


def test_an_inbox_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is no folder; expected a folder or s3://bucket/prefix"):
        inbox_folder(str(tmp_path / "none"), "ecg-beats", tmp_path)
    with pytest.raises(UsageError, match="expected a folder or s3://bucket/prefix"):
        inbox_folder("ftp://x/y", "ecg-beats", tmp_path)
    assert inbox_folder(str(tmp_path), "ecg-beats", tmp_path) is None


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A real S3 dialogue with moto's server, and a client of it; the bucket is `arrivals`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    client.create_bucket(Bucket="arrivals")
    yield client
    server.stop()


def test_a_bucket_is_mirrored_and_only_what_changed_is_fetched(bucket, phantom: Path, tmp_path: Path) -> None:
    for path in phantom.iterdir():
        bucket.upload_file(str(path), "arrivals", f"in/ecg-beats/{path.name}")
    for hostile in ("../../outside.hea", "<b>.hea", "sub/../../x.hea"):
        bucket.put_object(Bucket="arrivals", Key=f"in/ecg-beats/{hostile}", Body=b"x")
    bucket.put_object(Bucket="arrivals", Key="in/sleep-stages/n.edf", Body=b"x")
    folder = inbox_folder("s3://arrivals/in", "ecg-beats", tmp_path)
    assert folder is not None
    assert {path.name for path in folder.rglob("*")} == {path.name for path in phantom.iterdir()}
    assert (folder / "p0001.dat").read_bytes() == (phantom / "p0001.dat").read_bytes()
    assert not list(tmp_path.rglob("*outside*"))
    nodes = {path.name: path.stat().st_ino for path in folder.iterdir()}
    bucket.put_object(Bucket="arrivals", Key="in/ecg-beats/p0002.atr", Body=b"other")
    bucket.delete_object(Bucket="arrivals", Key="in/ecg-beats/p0003.evd")
    inbox_folder("s3://arrivals/in/", "ecg-beats", tmp_path)
    again = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert nodes.keys() - again.keys() == {"p0003.evd"}
    assert (folder / "p0002.atr").read_bytes() == b"other"
    assert {name for name in again if again[name] != nodes[name]} <= {"p0002.atr"}
    assert inbox_folder("s3://arrivals/in", "icu-vitals", tmp_path) is None
    with pytest.raises(PlumblineError, match="inbox s3://absent/x cannot be read"):
        inbox_folder("s3://absent/x", "ecg-beats", tmp_path)
