"""Archives are unpacked whole, once, and never outside the folder."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from tasks.listings import FetchError
from tasks.unpacking import unpack_all

FILES = {f"ISLES2017_Training/training_{n}/map {n}.nii": os.urandom(1000 * n) for n in (1, 2, 4)}


def archive(folder: Path, files: dict[str, bytes], name: str = "a 2017.zip") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as out:
        for member, content in files.items():
            out.writestr(member, content)
    return folder / name


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".zip")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_all_is_unpacked_and_a_second_run_completes_the_first(tmp_path):
    archive(tmp_path, FILES | {"__MACOSX/training_1/._map.nii": b"x", "training_1/.DS_Store": b"y", "empty/": b""})
    assert unpack_all(tmp_path) == 3
    assert contents(tmp_path) == FILES
    assert unpack_all(tmp_path) == 0
    first, second = list(FILES)[:2]
    (tmp_path / first).write_bytes(b"cut short")
    (tmp_path / second).rename(tmp_path / f"{second}.part")
    assert unpack_all(tmp_path) == 2
    assert contents(tmp_path) == FILES


@pytest.mark.parametrize("name", ["../evil.nii", "/etc/evil.nii", "a/../../evil.nii", "a\\..\\evil.nii"])
def test_a_name_that_leads_outside_is_refused_before_anything_is_written(tmp_path, name):
    archive(tmp_path / "in", FILES | {name: b"evil"})
    with pytest.raises(FetchError, match=r"a 2017\.zip names .*; expected a name that stays inside the folder"):
        unpack_all(tmp_path / "in")
    assert contents(tmp_path) == {}


def test_links_are_refused_in_the_archive_and_on_the_way(tmp_path):
    link = zipfile.ZipInfo("training_1")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive(tmp_path / "in", {}), "w") as out:
        out.writestr(link, "/etc")
    with pytest.raises(FetchError, match="holds the link training_1; expected files only"):
        unpack_all(tmp_path / "in")
    archive(tmp_path / "out", FILES)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "ISLES2017_Training").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FetchError, match="expected no link on the way"):
        unpack_all(tmp_path / "out")
    assert contents(tmp_path / "elsewhere") == {}


def test_a_broken_archive_is_one_sentence_and_leaves_no_file_of_a_wrong_checksum(tmp_path):
    path = archive(tmp_path, {"training_1/map.nii": os.urandom(50_000)})
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(FetchError, match=r"a 2017\.zip cannot be unpacked \(BadZipFile"):
        unpack_all(tmp_path)
    path.write_bytes(whole[:20_000] + bytes([whole[20_000] ^ 1]) + whole[20_001:])
    with pytest.raises(FetchError, match="cannot be unpacked"):
        unpack_all(tmp_path)
    assert not (tmp_path / "training_1" / "map.nii").exists()


def test_more_than_the_disk_holds_is_refused_at_once(tmp_path):
    path = archive(tmp_path, {"training_1/map.nii": b"x" * 100})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    # The directory claims 4 GB for each of 60,000 files: a bomb.
    claim = bytearray(content[entry : content.index(b"PK\x05\x06")])
    claim[24:28] = (0xFFFFFFF0).to_bytes(4, "little")
    count, directory = 60_000, bytes(claim) * 60_000
    ending = b"PK\x05\x06" + bytes(4) + count.to_bytes(2, "little") * 2
    ending += len(directory).to_bytes(4, "little") + entry.to_bytes(4, "little") + bytes(2)
    path.write_bytes(bytes(content[:entry]) + directory + ending)
    with pytest.raises(FetchError, match=r"needs 257698\.0 GB, the disk of .* has"):
        unpack_all(tmp_path)
    assert contents(tmp_path) == {}
