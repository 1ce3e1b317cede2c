"""Interactive figures inside self-contained pages: packed, drawn only when asked for, fetching nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

TEMPLATES = Path(__file__).parent / "templates"
STILL_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a page without interactive figures may do: nothing but show what is in it."""
_PACKED = re.compile(r'<script type="text/plain" id="figure-1">([A-Za-z0-9+/=]+)</script>')


@dataclass(frozen=True)
class Scripts:
    """What a page with interactive figures carries: once the packed library, and the script that unpacks it.

    ``policy`` allows these two by their digests and no other script, so that markup in a name stays text.
    """

    loader: str
    library: str
    policy: str


@cache
def scripts() -> Scripts:
    """The scripts of the installed Plotly. Packed they take 2 MB, less than half of the library as it is."""
    loader, library = (TEMPLATES / "explore.js").read_text(encoding="utf-8"), get_plotlyjs()
    allowed = " ".join(f"'sha256-{_digest(code)}'" for code in (loader, library))
    return Scripts(loader, packed(library), f"{STILL_POLICY}; script-src {allowed}")


def _digest(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")


def packed(text: str) -> str:
    """The text gzipped, in base64; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


def figure_json(figure: Figure | str) -> str:
    """A Plotly figure as JSON; text is taken to be that and checked. ValueError where it is not."""
    if isinstance(figure, Figure):
        return str(figure.to_json())
    try:
        known = isinstance(json.loads(figure)["data"], list)
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise ValueError(f"the interactive figure starts with {figure[:40]!r}; expected the JSON of a Plotly figure.")
    return figure


def write_interactive(path: str | Path, figure: Figure | str, title: str) -> Path:
    """Writes one interactive figure as a page of its own; returns the path.

    ``figure`` is a Plotly figure or its JSON. ValueError where it is not; OSError where the folder cannot
    be written. :func:`read_interactive` gives the JSON back.
    """
    page = environment().get_template("interactive.html.j2")
    text = page.render(title=title, packed=packed(figure_json(figure)), scripts=scripts())
    return write_at_once(Path(path), text)


def read_interactive(path: str | Path) -> str:
    """The JSON of the figure that :func:`write_interactive` has written; ValueError where there is none."""
    found = _PACKED.search(Path(path).read_text(encoding="utf-8"))
    if not found:
        raise ValueError(f"{path} holds no interactive figure; expected a page that write_interactive has written.")
    return gzip.decompress(base64.b64decode(found[1])).decode()


def environment() -> jinja2.Environment:
    """Templates in which every value is text unless it says otherwise, and a missing one an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_at_once(path: Path, text: str) -> Path:
    """Writes the text in one step, so that no reader meets half a page; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
