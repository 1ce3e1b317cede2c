"""The command line `plumbline`."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.chatter import silence_libraries
from tasks.errors import UsageError, full_disk
from tasks.settings import Settings, prepare_environment

app = typer.Typer(
    name="plumbline",
    help="Are a medical model's explanations true, for whom, and still tonight?\n\n"
    "`plumbline run` trains, registers and judges; `plumbline up` starts the pages and the schedule.\n\n"
    "Exit codes: 0 done; 1 failed; 2 bad usage or configuration; 3 done, and some recordings were "
    "quarantined; 4 the gate refused.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
console = Console()

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="a study, such as `ecg-beats`")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="folder of recordings (with `--study all`: a folder per study)")
]
ScaleName = Annotated[
    Literal["quick", "full"],
    typer.Option("--scale", help="`quick`: a stated subset; `full`: the whole recipe"),
]
ModeName = Annotated[
    Literal["corrected", "paper"],
    typer.Option("--mode", help="`paper` does what the paper did, defects included"),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="an option of the study, such as `v_class=!`; may repeat"),
]


class Exit(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    QUARANTINED = 3
    REFUSED = 4


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="show tracebacks and the platform's own log")] = False,
) -> None:
    """Prepares what MLflow and Prefect must find before they are imported."""
    if not debug:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
        silence_libraries()
    settings = Settings()
    from tasks.service import service_environment

    os.environ.update({k: v for k, v in service_environment(settings).items() if k not in os.environ})
    prepare_environment(settings)


@app.command()
def run(
    study: Annotated[str, typer.Option("--study", help="a study, or `all`")] = "all",
    data: DataFolder = None,
    scale: ScaleName = "quick",
    mode: ModeName = "corrected",
    set_: Options = None,
) -> None:
    """The main job: read, train, register, judge, gate, report. Without --data: PLUMBLINE_DATA, else phantoms."""
    from .catalogue import leading_studies, study_named
    from .closing_table import show_outcomes
    from .side_by_side import run_studies

    if study == "all":
        folders = {name: _text(data / name if data else None) for name in leading_studies()}
    else:
        folders = {study_named(study).name: _text(data)}
    options = _assignments(set_)
    for name in folders:
        study_named(name).with_options(options)
    outcomes = run_studies(folders, scale, mode, options)
    show_outcomes(outcomes, console)
    raise typer.Exit(max((_exit_of(outcome) for outcome in outcomes), default=Exit.DONE))


@app.command()
def phantom(
    study: StudyName,
    to: Annotated[Path, typer.Option("--to", help="folder to write into; made when missing")],
    subjects: Annotated[int | None, typer.Option(min=1, help="default: as many as the study's own phantom")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="a setting of the phantom; may repeat"),
    ] = None,
) -> None:
    """Writes phantom recordings in the study's real file format and layout."""
    from .catalogue import study_named

    chosen = study_named(study)
    asked = {} if subjects is None else {"subjects": subjects}
    try:
        chosen.write_phantom(to, seed=seed, **asked, **_assignments(set_))
    except ValueError as error:
        raise UsageError(str(error)) from error
    console.print(f"phantom recordings of {study} written to {to}")


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="a public source, such as `mitdb`")],
    to: Annotated[Path, typer.Option("--to", help="folder to download into; made when missing")],
) -> None:
    """Downloads a public source; every file's digest is verified, and a second run resumes the first."""
    from tasks.fetching import fetch_files
    from tasks.unpacking import unpack_all

    from .sources import source_named

    chosen = source_named(source)
    for line in (chosen.title, f"licence: {chosen.licence}", f"from {chosen.url} to {to}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    done = fetch_files(chosen.url, chosen.listing, to)
    console.print(f"{done.downloaded} files downloaded and verified, {done.present} were there already")
    if chosen.archives:
        console.print(f"{unpack_all(to)} files unpacked")


@app.command()
def train(
    study: StudyName,
    data: DataFolder = None,
    scale: ScaleName = "quick",
    mode: ModeName = "corrected",
    set_: Options = None,
) -> None:
    """Trains and registers one version of a study's model."""
    from .train import train as train_flow

    version = train_flow(study, _text(data), scale, mode, _assignments(set_))
    console.print(f"{version['name']} version {version['version']}, mode {mode}")
    raise typer.Exit(Exit.QUARANTINED if version["quarantined"] else Exit.DONE)


@app.command()
def evaluate(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="`faithfulness`, `lrp-rules`, `inclusivity`, `demographics`")
    ],
    study: StudyName,
    version: Annotated[str | None, typer.Option(help="a version number; default champion, else challenger")] = None,
    data: DataFolder = None,
    scale: ScaleName = "quick",
    set_: Options = None,
) -> None:
    """Runs one job on one version of a study's model; --set only says which options the version must have."""
    from .catalogue import require_job, study_named
    from .jobs import JOBS

    state = JOBS[require_job(study_named(study), job)](
        study, version=version, data=_text(data), scale=scale, options=_assignments(set_), return_state=True
    )
    console.print(f"{job} {study}: {state.name}. {state.message or ''}".rstrip())
    found = state.result() or {}
    raise typer.Exit(Exit.QUARANTINED if found.get("quarantined") else Exit.DONE)


@app.command()
def gate(study: StudyName, version: Annotated[str | None, typer.Option(help="default: the challenger")] = None) -> None:
    """Applies the constraints to a version and moves `champion` to it when all hold."""
    from .gate import gate as gate_flow

    decided = gate_flow(study, version)
    _show_constraints(decided["constraints"])
    console.print(f"{study} version {decided['version']}: {decided['verdict']}", highlight=False, markup=False)
    raise typer.Exit(Exit.DONE if decided["passed"] else Exit.REFUSED)


@app.command()
def rollback(study: StudyName) -> None:
    """Gives `champion` back to the champion before."""
    from .gate import roll_back

    before, now = roll_back(study)
    console.print(f"{study}: champion moved from version {before} back to version {now}")


@app.command()
def watch(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="default: every study with a champion")] = None,
    inbox: Annotated[
        str | None, typer.Option("--inbox", help="folder or s3://bucket/prefix; default PLUMBLINE_INBOX")
    ] = None,
) -> None:
    """Looks at what has arrived: explains it with the champion and compares it with what held at promotion."""
    from .watch import quarantined_some
    from .watch import watch as watch_flow

    state: Any = watch_flow(study, inbox, return_state=True)
    if state.is_failed() or state.is_crashed():
        state.result()
    console.print(f"{state.name}. {state.message or ''}".rstrip(), highlight=False, markup=False)
    raise typer.Exit(Exit.QUARANTINED if quarantined_some(state) else Exit.DONE)


@app.command()
def report(
    study: StudyName,
    out: Annotated[Path, typer.Option("--out", help="the page to write")] = Path("report.html"),
) -> None:
    """Writes one self-contained page with every figure and table of the study."""
    from .study_report import write_study_report

    write_study_report(study, out)
    console.print(f"{out} written")


@app.command()
def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="`ecg-beats@champion` or `ecg-beats/3`")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a recording, such as `100.hea`, a case, or a folder")],
    out: Annotated[
        Path, typer.Option("--out", help="`.hea` for WFDB, `.nii.gz` for a case, `.csv` for a table; or a folder")
    ],
    method: Annotated[
        str | None,
        typer.Option(
            "--method", help="an explainer; default `occlusion_w10`, of a case an LRP; `none` (folder): predict only"
        ),
    ] = None,
) -> None:
    """Explains a recording, or all of a folder; maps are written beside the signal in the recording's own format."""
    from .explain import explain_recording
    from .explain_folder import explain_folder

    if file.is_dir() and not out.name.endswith(".nii.gz"):
        all_ = explain_folder(model, file, method, out)
        for name, reason in all_.quarantined.items():
            console.print(f"quarantined {name}: {reason}", highlight=False, markup=False, soft_wrap=True)
        console.print(f"{all_.explained} recordings answered, {all_.present} were there already: {out / 'summary.csv'}")
        raise typer.Exit(Exit.QUARANTINED if all_.quarantined else Exit.DONE)
    done = explain_recording(model, file, method, out)
    console.print(f"{done.count} {done.what} of {file.name} explained by {done.method}: {out}")


@app.command()
def who(
    pseudonym: Annotated[str, typer.Argument(metavar="PSEUDONYM", help="such as `rec-0f3a...`, of a report or table")],
    data: Annotated[Path, typer.Option("--data", help="the folder of recordings in which it is looked for")],
) -> None:
    """Names the recording behind a pseudonym; needs the recordings themselves and this installation's key."""
    from tasks.cohorts.build import pseudonym_key
    from tasks.cohorts.pseudonyms import names_behind

    if not data.is_dir():
        raise UsageError(f"data is {str(data)!r}, which is no folder; expected a folder of recordings.")
    found = names_behind(data, pseudonym_key(Settings().root)).get(pseudonym)
    if found is None:
        raise UsageError(f"{pseudonym} is no recording in {data}; expected a pseudonym that was made of one in it.")
    console.print(found, highlight=False, markup=False, soft_wrap=True)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="`ecg-beats@champion` or `ecg-beats/3`")],
    host: Annotated[str, typer.Option(help="address to bind to: whoever reaches it is answered")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5005,
    follow: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="look so often whether the alias has moved")
    ] = None,
) -> None:
    """Answers over HTTP with predictions and maps; on SIGHUP the next champion takes over, no request is refused."""
    from tasks.serving import serve as answer

    answer(model, host, port, follow)


@app.command()
def up() -> None:
    """Starts MLflow, Prefect, a worker and the scheduled deployments on this machine."""
    from tasks.service import status as look
    from tasks.service import up as start

    settings = Settings()
    started = start(settings)
    console.print(f"started: {', '.join(started)}" if started else "already up")
    console.print(look(settings))


@app.command()
def down() -> None:
    """Ends exactly what `plumbline up` started."""
    from tasks.service import down as stop

    stopped = stop(Settings())
    console.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status() -> None:
    """Shows the servers, the next scheduled runs and the last outcomes."""
    from tasks.service import status as look

    console.print(look(Settings()))


@app.command()
def foreground(
    process: Annotated[str, typer.Argument(metavar="PROCESS", help="`mlflow`, `prefect` or `worker`")],
) -> None:
    """Runs one process of the service in the foreground, for a container or a service unit."""
    from tasks.service.foreground import run_in_foreground

    run_in_foreground(Settings(), process)


@app.command()
def upgrade() -> None:
    """Brings the tables of MLflow, Prefect and the ledger up to date; makes them in new databases."""
    from tasks.service import upgrade as migrate

    for line in migrate(Settings()):
        console.print(f"up to date: {line}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def backup(to: Annotated[Path, typer.Option("--to", help="a new folder; made when missing")]) -> None:
    """Copies databases, artifacts and evaluations; the service may run and write meanwhile."""
    from tasks.service.backup import back_up

    for line in back_up(Settings(), to):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="a folder that `plumbline backup` has written")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is here")] = False,
) -> None:
    """Brings a backup back, here or on another machine; the service must be down."""
    from tasks.service.restoring import restore as bring_back

    for line in bring_back(Settings(), source, overwrite=overwrite):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Says what is missing or misconfigured, and the fix."""
    from .doctor import examine

    findings = examine(Settings())
    table = Table("", "what", "found", "fix", box=None)
    for finding in findings:
        table.add_row("ok" if finding.fine else "!!", finding.what, finding.found, finding.fix)
    console.print(table)
    raise typer.Exit(Exit.DONE if all(finding.fine for finding in findings) else Exit.USAGE)


def _show_constraints(rows: list[dict[str, Any]]) -> None:
    table = Table("verdict", "constraint", "found", "demanded", "of", box=None)
    for row in rows:
        of = "" if row["note"] in row["found"] else row["note"]
        table.add_row(*(escape(text) for text in (row["verdict"], row["name"], row["found"], row["demand"], of)))
    console.print(table)


def _text(path: Path | None) -> str | None:
    """How flows are told of the folder: they keep what they are told, and its path may hold a name."""
    if path is None:
        return None
    from tasks.cohorts.build import pseudonym_key
    from tasks.cohorts.folders import reference_to

    return reference_to(path, pseudonym_key(Settings().root))


def _assignments(pairs: list[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` strings as a dictionary; who takes it checks names and values."""
    for pair in pairs or []:
        if "=" not in pair:
            raise UsageError(f"--set is {pair!r}; expected NAME=VALUE.")
    return dict(pair.split("=", 1) for pair in pairs or [])


def _exit_of(outcome: Any) -> Exit:
    if outcome.gate == "refused":
        return Exit.REFUSED
    return Exit.QUARANTINED if outcome.quarantined else Exit.DONE


def main() -> None:
    """Runs the command line; errors are one sentence unless --debug asks for the traceback."""
    try:
        app()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        Console(stderr=True).print(f"plumbline: {sentence(error)}", highlight=False, markup=False)
        sys.exit(Exit.USAGE if isinstance(error, (UsageError, ValidationError)) else Exit.FAILED)


def sentence(error: Exception) -> str:
    """The error as one line; pydantic's many lines become one sentence per wrong setting."""
    if isinstance(error, ValidationError):
        wrong = [f"{error.title} {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return "; ".join(wrong)
    full = full_disk(error, Settings().root)
    return full or " ".join(getattr(error, "told", str(error)).split()) or type(error).__name__
