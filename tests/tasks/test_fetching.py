"""Downloads against a real HTTP server on this machine that resumes, drops, corrupts and lies as told."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support import free_port

from tasks import fetching, listings
from tasks.errors import UsageError
from tasks.fetching import Fetched, fetch_files
from tasks.listings import ChecksumList, FetchError, KnownDigests, SortedChecksumList, ZenodoRecord

LIST = "SHA256SUMS.txt"
RECORDS = {f"{record}.{kind}": os.urandom(40_000) for record in (100, 101) for kind in ("dat", "hea")}
Answer = Callable[["Handler", bytes], None]


@dataclass
class Site:
    """What a server holds, how it misbehaves, and what it was asked: (name, Range header)."""

    files: dict[str, bytes]
    sums: str
    ranges: bool = True
    faults: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    def asked_for(self, name: str) -> list[str | None]:
        return [wanted for asked, wanted in self.asked if asked == name]


class Server(ThreadingHTTPServer):
    """A server of one site."""

    daemon_threads = True

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(("127.0.0.1", 0), Handler)
        site.url = f"http://127.0.0.1:{self.server_port}/data/"


class Handler(BaseHTTPRequestHandler):
    """Serves a site; a fault answers once, then the next one or the truth."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        site = self.server.site
        name = self.path.removeprefix("/data/")
        site.asked.append((name, self.headers["Range"]))
        content = site.sums.encode() if name == LIST else site.files.get(name)
        if content is None:
            self.answer(404, b"<html>no such file</html>")
        elif site.faults.get(name):
            site.faults[name].pop(0)(self, content)
        else:
            self.serve(content)

    def serve(self, content: bytes) -> None:
        wanted = self.headers["Range"]
        if wanted is None or not self.server.site.ranges:
            return self.answer(200, content)
        first, last = wanted.removeprefix("bytes=").split("-")
        start, end = int(first), min(int(last or len(content)), len(content) - 1)
        if start >= len(content):
            return self.answer(416, b"")
        return self.answer(206, content[start : end + 1], ("Content-Range", f"bytes {start}-{end}/{len(content)}"))

    def answer(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for key, value in (("Content-Length", str(len(content))), *headers):
            self.send_header(key, value)
        self.end_headers()
        self.server.site.sent += len(content)
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


def drops_after(size: int) -> Answer:
    """Promises all that was asked for, sends ``size`` bytes of it and hangs up."""

    def fault(handler: Handler, content: bytes) -> None:
        start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        start = start if handler.server.site.ranges else 0
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + size])
        handler.close_connection = True

    return fault


def corrupt(handler: Handler, content: bytes) -> None:
    handler.answer(200, bytes([content[0] ^ 1]) + content[1:])


def busy(handler: Handler, _: bytes) -> None:
    handler.answer(503, b"later")


def sums_of(files: dict[str, bytes], algorithm: str = "sha256", between: str = "  ") -> str:
    return "".join(f"{hashlib.new(algorithm, data).hexdigest()}{between}{name}\n" for name, data in files.items())


def listing(least: int = 1) -> ChecksumList:
    return ChecksumList(path=LIST, algorithm="sha256", wanted=("???.dat", "???.hea"), least=least)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fetching, "PAUSES", (0.01, 0.01, 0.01))
    served = Site(files=dict(RECORDS), sums=sums_of(RECORDS))
    server = Server(served)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "made" / "mitdb"


def test_every_wanted_file_arrives_and_a_second_run_asks_for_the_list_only(site: Site, to: Path) -> None:
    site.files["102-0.atr"] = b"not wanted"
    site.sums += sums_of({"102-0.atr": b"not wanted"})
    assert fetch_files(site.url, listing(least=4), to) == Fetched(downloaded=4, present=0)
    assert contents(to) == RECORDS
    times = {path: path.stat().st_mtime_ns for path in to.iterdir()}

    site.asked.clear()
    assert fetch_files(site.url, listing(least=4), to) == Fetched(downloaded=0, present=4)
    assert site.asked == [(LIST, None)]
    assert {path: path.stat().st_mtime_ns for path in to.iterdir()} == times


@pytest.mark.parametrize(("algorithm", "between"), [("sha1", " "), ("md5", " *"), ("sha256", " ")])
def test_lists_of_other_algorithms_and_writers_are_read(site: Site, to: Path, algorithm: str, between: str) -> None:
    site.sums = sums_of(RECORDS, algorithm, between).upper().replace(".DAT", ".dat").replace(".HEA", ".hea")
    wanted = ChecksumList(path=LIST, algorithm=algorithm, wanted=("*",), least=4)  # type: ignore[arg-type]
    fetch_files(site.url, wanted, to)
    assert contents(to) == RECORDS


def test_a_file_in_a_folder_with_a_blank_in_its_name_keeps_both(site: Site, to: Path) -> None:
    site.sums = sums_of({"part 1/a#b.dat": b"x"})
    site.files = {"part%201/a%23b.dat": b"x"}
    fetch_files(site.url, ChecksumList(LIST, "sha256", ("*",), 1), to)
    assert contents(to) == {"part 1/a#b.dat": b"x"}


def test_a_dropped_connection_goes_on_where_it_stopped(site: Site, to: Path) -> None:
    site.faults["100.dat"] = [drops_after(15_000), drops_after(5_000), busy]
    fetch_files(site.url, listing(), to)
    assert contents(to) == RECORDS
    assert site.asked_for("100.dat") == [None, "bytes=15000-", "bytes=20000-", "bytes=20000-"]


def test_attempts_begin_anew_while_more_and_more_arrives(site: Site, to: Path) -> None:
    site.faults["100.dat"] = [drops_after(4_000)] * 9
    fetch_files(site.url, listing(), to)
    assert contents(to) == RECORDS
    assert len(site.asked_for("100.dat")) == 10


def test_without_ranges_a_dropped_file_starts_again(site: Site, to: Path) -> None:
    site.ranges = False
    site.faults["100.dat"] = [drops_after(15_000)]
    fetch_files(site.url, listing(), to)
    assert contents(to) == RECORDS
    assert site.asked_for("100.dat") == [None, "bytes=15000-"]


def test_without_ranges_a_server_that_always_drops_is_given_up(site: Site, to: Path) -> None:
    site.ranges = False
    site.faults["100.dat"] = [drops_after(15_000)] * 50
    with pytest.raises(FetchError, match=r"100\.dat did not arrive"):
        fetch_files(site.url, listing(), to)
    assert len(site.asked_for("100.dat")) == 1 + len(fetching.PAUSES)


def test_an_interrupted_run_leaves_a_part_that_the_next_one_completes(site: Site, to: Path) -> None:
    site.faults["100.dat"] = [drops_after(15_000), *[drops_after(0)] * 4]
    with pytest.raises(FetchError, match="run the same command again, what has arrived is kept"):
        fetch_files(site.url, listing(), to)
    assert contents(to) == {"100.dat.part": RECORDS["100.dat"][:15_000]}

    site.faults.clear()
    site.asked.clear()
    fetch_files(site.url, listing(), to)
    assert contents(to) == RECORDS
    assert site.asked_for("100.dat") == ["bytes=15000-"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("left", [b"", b"rubbish", RECORDS["100.dat"], RECORDS["100.dat"] + b"more", b"z" * 40_000])
def test_whatever_a_part_holds_the_file_becomes_right(site: Site, to: Path, left: bytes, ranges: bool) -> None:
    site.ranges = ranges
    to.mkdir(parents=True)
    (to / "100.dat.part").write_bytes(left)
    fetch_files(site.url, listing(), to)
    assert contents(to) == RECORDS


def test_a_wrong_file_under_the_real_name_is_made_right(site: Site, to: Path) -> None:
    to.mkdir(parents=True)
    (to / "100.dat").write_bytes(RECORDS["100.dat"][:12_345])
    assert fetch_files(site.url, listing(), to) == Fetched(downloaded=4, present=0)
    assert contents(to) == RECORDS
    assert site.asked_for("100.dat") == ["bytes=12345-"]


def test_a_corrupt_file_is_named_and_not_kept(site: Site, to: Path) -> None:
    right = hashlib.sha256(RECORDS["101.dat"]).hexdigest()
    wrong = hashlib.sha256(bytes([RECORDS["101.dat"][0] ^ 1]) + RECORDS["101.dat"][1:]).hexdigest()
    site.faults["101.dat"] = [corrupt] * 9
    with pytest.raises(FetchError, match=rf"^101\.dat has the sha256 {wrong}; expected {right}, so it was not kept\.$"):
        fetch_files(site.url, listing(), to)
    assert contents(to) == {name: data for name, data in RECORDS.items() if name.startswith("100")}
    assert site.asked_for("101.dat") == [None, None]


def test_a_file_corrupted_once_is_fetched_again(site: Site, to: Path) -> None:
    site.faults["101.dat"] = [corrupt]
    fetch_files(site.url, listing(), to)
    assert contents(to) == RECORDS


def test_a_missing_file_is_not_asked_for_twice(site: Site, to: Path) -> None:
    del site.files["101.hea"]
    with pytest.raises(FetchError, match=r"/data/101\.hea was answered by 404 Not Found; expected the file"):
        fetch_files(site.url, listing(), to)
    assert len(site.asked_for("101.hea")) == 1
    assert not list(to.glob("101.hea*"))


def test_a_server_that_stays_busy_is_given_up_after_the_pauses(site: Site, to: Path) -> None:
    site.faults[LIST] = [busy] * 50
    with pytest.raises(FetchError, match="503 Service Unavailable"):
        fetch_files(site.url, listing(), to)
    assert len(site.asked_for(LIST)) == 4


def test_no_network_is_one_sentence(site: Site, to: Path) -> None:
    with pytest.raises(FetchError, match=r"did not arrive \(.*\); check the network") as said:
        fetch_files(f"http://127.0.0.1:{free_port()}/", listing(), to)
    assert "\n" not in str(said.value)
    assert not to.exists()


@pytest.mark.parametrize(
    "name",
    ["../.hea", "/etc/100.hea", "a/../../100.hea", "..", "a//b.hea", "./100.hea", "..\\100.hea", "a\x1b[2J.hea"],
)
def test_a_list_that_climbs_out_is_refused_whole(site: Site, to: Path, name: str) -> None:
    site.sums += f"{'0' * 64}  {name}\n"
    with pytest.raises(FetchError, match=r"SHA256SUMS\.txt line 5 names .*; expected a name that stays inside"):
        fetch_files(site.url, listing(), to)
    assert not to.exists()
    assert site.asked == [(LIST, None)]


@examples(max_examples=100, deadline=None)
@given(name=st.text(st.sampled_from("./\\~a: \0"), min_size=1, max_size=12))
def test_no_listed_name_leaves_the_folder(name: str) -> None:
    root = Path("/somewhere/deep")
    every = ChecksumList(path=LIST, algorithm="sha256", wanted=("*",), least=0)
    try:
        files = every.files(f"{'0' * 64}  {name}\n")
    except FetchError:
        return
    for file in files:
        assert Path(os.path.normpath(root / file.name)).is_relative_to(root)
        assert Path(os.path.normpath(root / file.name)) != root


@pytest.mark.parametrize("link", ["100.dat", "100.dat.part"])
def test_a_link_does_not_lead_the_download_elsewhere(site: Site, to: Path, tmp_path: Path, link: str) -> None:
    to.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (to / link).symlink_to(precious)
    with pytest.raises(FetchError, match="expected no link on the way"):
        fetch_files(site.url, listing(), to)
    assert precious.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>please log in</html>", r"line 1 is '<html>please log in</html>'; expected 64 hexadecimal digits"),
        (f"{'0' * 40}  100.dat", "expected 64 hexadecimal digits and a name"),
        ("", r"lists 0 of the wanted files; expected 4 or more"),
        (sums_of(dict(list(RECORDS.items())[:3])), r"lists 3 of the wanted files; expected 4 or more"),
    ],
)
def test_a_list_that_is_none_or_was_cut_short_is_refused(site: Site, to: Path, text: str, said: str) -> None:
    site.sums = text
    with pytest.raises(FetchError, match=said):
        fetch_files(site.url, listing(least=4), to)
    assert not to.exists()


def test_a_file_for_a_folder_is_bad_usage(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--to is the file .*; expected a folder"):
        fetch_files(site.url, listing(), tmp_path / "file")
    assert site.asked == []


def test_what_the_disk_refuses_is_said_with_the_file(site: Site, to: Path) -> None:
    (to / "100.dat").mkdir(parents=True)
    with pytest.raises(FetchError, match=r"100\.dat cannot be written: Is a directory"):
        fetch_files(site.url, listing(), to)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to stand for a full disk")
def test_a_full_disk_is_said_plainly(to: Path) -> None:
    with (
        pytest.raises(FetchError, match=rf"the disk of {to} is full at 100\.dat; .*what has arrived is kept") as said,
        fetching.on_disk(to / "100.dat"),
        open("/dev/full", "wb") as full,
    ):
        full.write(b"x" * 100_000)
    assert isinstance(said.value.__cause__, OSError)
    assert said.value.__cause__.errno == errno.ENOSPC


def test_two_downloads_into_one_folder_do_not_disturb_each_other(site: Site, to: Path) -> None:
    done: list[Fetched] = []
    threads = [threading.Thread(target=lambda: done.append(fetch_files(site.url, listing(), to))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(to) == RECORDS
    assert sorted(one.downloaded for one in done) == [0, 4]


# --- digests that are known in advance


def known(files: dict[str, bytes], algorithm: str = "md5") -> KnownDigests:
    digests = ((name, hashlib.new(algorithm, data).hexdigest()) for name, data in files.items())
    return KnownDigests(algorithm, tuple(digests))  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_known_digests_need_no_list(site: Site, to: Path, algorithm: str) -> None:
    wanted = known({name: RECORDS[name] for name in ("100.dat", "101.hea")}, algorithm)
    assert fetch_files(site.url, wanted, to) == Fetched(downloaded=2, present=0)
    assert contents(to) == {name: RECORDS[name] for name in ("100.dat", "101.hea")}
    assert {name for name, _ in site.asked} == {"100.dat", "101.hea"}

    site.asked.clear()
    assert fetch_files(site.url, wanted, to) == Fetched(downloaded=0, present=2)
    assert site.asked == []


def test_known_digests_resume_a_cut_connection_and_an_interrupted_run(site: Site, to: Path) -> None:
    site.faults["100.dat"] = [drops_after(15_000), drops_after(5_000), *[drops_after(0)] * 3]
    with pytest.raises(FetchError, match="run the same command again, what has arrived is kept"):
        fetch_files(site.url, known(RECORDS), to)
    assert contents(to) == {"100.dat.part": RECORDS["100.dat"][:20_000]}

    site.faults.clear()
    site.asked.clear()
    fetch_files(site.url, known(RECORDS), to)
    assert contents(to) == RECORDS
    assert site.asked_for("100.dat") == ["bytes=20000-"]


def test_a_file_of_another_known_digest_is_not_kept(site: Site, to: Path) -> None:
    wanted = known(RECORDS | {"101.dat": b"as it was published"})
    with pytest.raises(FetchError, match=r"^101\.dat has the md5 [0-9a-f]{32}; expected [0-9a-f]{32}, so it was not"):
        fetch_files(site.url, wanted, to)
    assert "101.dat" not in contents(to)
    assert "101.dat.part" not in contents(to)


# --- long sorted lists

NAMES = [f"{record // 100}/{record}/{record}_{part:04d}.{kind}" for record in range(3000, 3900)
         for part in range(3) for kind in ("dat", "hea")]  # fmt: skip


def digest_line(name: str) -> str:
    return f"{hashlib.sha256(name.encode()).hexdigest()} {name}\n"


@pytest.fixture
def long_list(site: Site) -> Site:
    """5,400 files that hold their own names, and a list of them of half a megabyte."""
    site.files = {name: name.encode() for name in NAMES}
    site.sums = "".join(map(digest_line, sorted(NAMES)))
    assert len(site.sums) > 400_000
    return site


def in_long_list(*names: str) -> SortedChecksumList:
    return SortedChecksumList(path=LIST, algorithm="sha256", names=names)


def test_names_of_a_long_list_are_found_without_reading_it(
    long_list: Site, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "WINDOW", 1 << 12)
    wanted = ("38/3888/3888_0001.hea", "30/3051/3051_0002.hea", "30/3051/3051_0002.dat")
    assert fetch_files(long_list.url, in_long_list(*wanted), to) == Fetched(downloaded=3, present=0)
    assert contents(to) == {name: name.encode() for name in wanted}
    assert None not in long_list.asked_for(LIST)
    assert len(long_list.asked_for(LIST)) <= 1 + 2 * (8 + 1)
    assert long_list.sent < 60_000


def test_every_name_of_a_long_list_is_found(long_list: Site, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "WINDOW", 1 << 12)
    ends = [NAMES[0], *NAMES[1:-1:270], NAMES[-1]]
    fetch_files(long_list.url, in_long_list(*ends), to)
    assert contents(to) == {name: name.encode() for name in ends}


@pytest.mark.parametrize("end", ["\n", "", "\n\n"])
def test_a_short_sorted_list_is_read_to_its_end(site: Site, to: Path, end: str) -> None:
    site.sums = sums_of(dict(sorted(RECORDS.items()))).rstrip() + end
    fetch_files(site.url, in_long_list(*RECORDS), to)
    assert contents(to) == RECORDS


@pytest.mark.parametrize("name", ["00/none.dat", "30/3051/3051_0002.daz", "99/none.dat"])
def test_a_name_that_the_list_does_not_have_is_told(long_list: Site, to: Path, name: str) -> None:
    with pytest.raises(FetchError, match=rf"^SHA256SUMS\.txt has no digest of {name}; expected one line of it"):
        fetch_files(long_list.url, in_long_list(name), to)
    assert not to.exists()


def test_a_server_that_sends_no_parts_is_not_made_to_send_the_list(long_list: Site, to: Path) -> None:
    long_list.ranges = False
    with pytest.raises(FetchError, match=r"SHA256SUMS\.txt is sent whole only; expected a server that sends the part"):
        fetch_files(long_list.url, in_long_list(NAMES[7]), to)
    assert len(long_list.asked) == 1


def test_a_busy_server_is_asked_again_for_the_part(long_list: Site, to: Path) -> None:
    long_list.faults[LIST] = [busy, drops_after(0)]
    fetch_files(long_list.url, in_long_list(NAMES[7]), to)
    assert contents(to) == {NAMES[7]: NAMES[7].encode()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>" * 50_000, "has a line of more than 1024 bytes"),
        ("<html>please log in</html>\n" * 9000, r"is '<html>please log in</html>'; expected 64 hexadecimal digits"),
        (f"{'0' * 64}  ../../x.dat\n" * 2000, r"names '\.\./\.\./x\.dat'; expected a name that stays inside"),
        ("", "416"),
    ],
)
def test_a_long_list_that_is_none_is_refused(site: Site, to: Path, text: str, said: str) -> None:
    site.sums = text
    with pytest.raises(FetchError, match=said):
        fetch_files(site.url, in_long_list("30/x.dat"), to)
    assert not to.exists()


# --- records of Zenodo


def zenodo(site: Site, files: dict[str, bytes], **changes: object) -> ZenodoRecord:
    """The record 17 on the site: its listing as Zenodo's REST API writes it, and its files where that keeps them."""
    entries = [
        {
            "id": f"id-of-{name}",
            "key": name,
            "size": len(data),
            "checksum": f"md5:{hashlib.md5(data).hexdigest()}",
            "links": {"self": f"https://elsewhere.example/{name}"},
        }
        | changes
        for name, data in files.items()
    ]
    site.files = {f"api/records/17/files/{name}/content": data for name, data in files.items()}
    site.files["api/records/17"] = json.dumps({"id": 17, "metadata": {"title": "ISLES"}, "files": entries}).encode()
    return ZenodoRecord("17", ("*2017*",))


def test_the_wanted_files_of_a_record_arrive_and_are_verified(site: Site, to: Path) -> None:
    files = {"ISLES2015.zip": b"old", "ISLES2017_Training.zip": RECORDS["100.dat"], "a2017.csv": b"mRS"}
    wanted = zenodo(site, files)
    site.faults["api/records/17/files/ISLES2017_Training.zip/content"] = [drops_after(15_000)]
    assert fetch_files(site.url, wanted, to) == Fetched(downloaded=2, present=0)
    assert contents(to) == {name: data for name, data in files.items() if "2017" in name}
    assert fetch_files(site.url, wanted, to) == Fetched(downloaded=0, present=2)
    assert site.asked_for("api/records/17/files/ISLES2017_Training.zip/content") == [None, "bytes=15000-"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "../2017.zip"}, "record 17 names '../2017.zip'; expected a name that stays inside"),
        ({"checksum": "crc32:12345678"}, "gives b2017 the checksum 'crc32:12345678'; expected md5:, sha1: or sha256:"),
        ({"checksum": "md5:1234"}, "gives b2017 the checksum 'md5:1234'"),
        ({"checksum": None}, r"api/records/17 is no record of files with digests \(AttributeError\)"),
        ({"key": "other"}, r"record 17 holds other; expected a file like \*2017\*\."),
        ({"checksum": f"md5:{'0' * 32}"}, f"^b2017 has the md5 .*; expected {'0' * 32}, so it was not kept"),
    ],
)
def test_a_record_that_is_not_to_be_trusted_is_refused(
    site: Site, to: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(FetchError, match=said):
        fetch_files(site.url, zenodo(site, {"b2017": b"x"}, **changes), to)
    assert not to.exists() or contents(to) == {}


@pytest.mark.parametrize("text", [b"<html>log in</html>", b"[]", b'{"id": 17}', b'{"files": [3]}'])
def test_what_is_no_record_is_one_sentence(site: Site, to: Path, text: bytes) -> None:
    wanted = zenodo(site, {})
    site.files["api/records/17"] = text
    with pytest.raises(FetchError, match=r"api/records/17 is no record of files with digests \(\w+\)\."):
        fetch_files(site.url, wanted, to)
