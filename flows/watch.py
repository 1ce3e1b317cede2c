"""The flow `watch`: is what arrives still explained as it was when the champion was promoted?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
from prefect import flow
from prefect.states import Completed, Failed, State

from tasks.alone import alone
from tasks.cohorts.build import pseudonym_key
from tasks.cohorts.store import Cohort
from tasks.errors import PlumblineError
from tasks.evaluating.evaluation import Evaluation, version_options
from tasks.evaluating.explaining import explain_shard
from tasks.evaluating.judging import labels_left_out
from tasks.evaluating.ledgering import open_books
from tasks.evaluating.scoring import score_shard
from tasks.gating.finished import latest_evaluation
from tasks.ledger import Look
from tasks.ledger.watching import known_arrivals, unshown_looks
from tasks.publishing.registry import VersionRef, standing_champion
from tasks.settings import Settings
from tasks.spreading import each_unit
from tasks.watching.arriving import Inbox, look_into
from tasks.watching.baseline import promoting_evaluation, read_baseline, write_baseline
from tasks.watching.inbox import inbox_folder
from tasks.watching.looking import END_STATES, NOTHING_NEW, SKIPPED, Watched, enter_look
from tasks.watching.measuring import COLUMNS, measure_recordings, plan_of_arrivals
from tasks.watching.reading import Batch, read_arrivals
from tasks.watching.showing import show_look

from .catalogue import STUDIES, study_named
from .study import Study


@flow(name="watch", log_prints=False)
def watch(study: str | None = None, inbox: str | None = None) -> Any:
    """Looks at what has arrived for a study, or for every one that has a champion, each in a flow run of its own.

    ``inbox``: a folder or s3://bucket/prefix with a folder per study, by default the setting of that name. The
    champion is resolved here, once: one that is promoted meanwhile is asked at the next look. Ends as the worst of the
    studies did: `Completed with violations`, `Quarantined some`, `Completed`, `Nothing new` or `Skipped`.
    """
    chosen = [study_named(study)] if study else list(STUDIES.values())
    where = inbox or Settings().inbox
    if where is None:
        return Completed(name=SKIPPED, message="There is no inbox: PLUMBLINE_INBOX is not set.")
    ends: dict[str, State[Any]] = {}
    for each in chosen:
        champion = standing_champion(each.name)
        if champion is not None:
            ends[each.name] = _state_of(each, champion, where)
    if not ends:
        return Completed(name=SKIPPED, message=f"{study or 'No study'} has no champion to watch.")
    return _together(ends)


def _state_of(study: Study, champion: VersionRef, where: str) -> State[Any]:
    state: Any = watch_study(study.name, champion.version, where, return_state=True)  # typed as if it were awaitable
    return cast(State[Any], state)


@flow(name="watch-study", log_prints=False)
def watch_study(study: str, version: str, inbox: str) -> Any:
    """One look at one study by one version; what a killed look has left is finished first."""
    chosen = study_named(study)
    model = VersionRef.of(chosen.name, version)
    with alone(f"watch-{chosen.name}", f"the watch of {study}"):
        unfinished = unshown_looks(open_books(), chosen.name)
        for look in unfinished:
            show_look(look, VersionRef.of(look.model_name, look.model_version))
        found = _look(chosen, model, inbox)
        if isinstance(found, Look):
            return _end(found)
        return _end(unfinished[-1]) if unfinished else found


def quarantined_some(state: State[Any]) -> bool:
    """Whether a watch had to quarantine recordings, whatever else it found."""
    return "quarantined (" in (state.message or "")


def _look(study: Study, model: VersionRef, where: str) -> Look | State[Any]:
    root, key = Settings().root, pseudonym_key(Settings().root)
    folder = inbox_folder(where, study.source, root)
    if folder is None:
        return Completed(name=NOTHING_NEW, message=f"The inbox holds nothing for {study.name}.")
    watched = _watched(study, model, root)
    reference = Cohort.open(watched.promoted.cohort)
    own = root / "watch" / study.name
    look_at = partial(
        look_into,
        folder,
        str(reference.manifest["reader"]),
        key=key,
        known=known_arrivals(open_books(), study.name),
        digests=own / "digests.json",
    )
    inbox = look_at(now=time.time())
    if not inbox.new:
        return Completed(name=NOTHING_NEW, message=f"{study.name}: nothing new{_waiting(inbox)}.")
    read = _reader(study, watched.promoted, reference)
    batch = read_arrivals(inbox, study.source, read, key=key, root=root)
    again = look_at(now=time.time())
    if not {(each.id, each.digest) for each in inbox.new} <= {(each.id, each.digest) for each in again.new}:
        return Completed(name=NOTHING_NEW, message=f"{study.name}: recordings changed while they were read.")
    batch, measured = _measured(watched, batch, root)
    look = enter_look(watched, inbox.new, batch, measured, waiting=_waiting(again))
    show_look(look, model)
    return look


def _watched(study: Study, model: VersionRef, root: Path) -> Watched:
    """The version with its baseline; one that was promoted before there were baselines gets it now."""
    found = read_baseline(model)
    if found is None:
        write_baseline(latest_evaluation(study.name, model, root), model)
        found = read_baseline(model)
    if found is None:
        raise PlumblineError(f"{model.name} version {model.version} has no baseline; expected the one just written.")
    baseline, values = found
    return Watched(model, values, baseline.explainer, promoting_evaluation(baseline, root))


def _reader(study: Study, promoted: Evaluation, reference: Cohort) -> partial[Cohort]:
    """The study's reader as it read what the version was judged on: its options, and the arguments of its plan."""
    own = study.with_options(version_options(promoted.bundle))
    parameters = reference.manifest["parameters"]
    plans = [
        dict(plan.reading)
        for plan in (own.phantom, own.quick, own.full)
        if all(parameters.get(name) == json.loads(json.dumps(value)) for name, value in plan.reading.items())
    ]
    return partial(own.read, **max(plans, key=len, default={}))


def _measured(watched: Watched, batch: Batch, root: Path) -> tuple[Batch, pd.DataFrame]:
    """Explains and scores what could be read; a batch that the version cannot take is quarantined as a whole."""
    nothing = pd.DataFrame(columns=list(COLUMNS))
    if batch.cohort is None:
        return batch, nothing
    try:
        evaluation = plan_of_arrivals(watched.promoted, watched.explainer, Cohort.open(batch.cohort), root)
    except PlumblineError as reason:
        refused = {identity: str(reason) for identity in batch.recordings.values()}
        return Batch(None, {}, {**refused, **batch.quarantined}), nothing
    shards = evaluation.shards()
    each_unit((explain_shard, score_shard), evaluation, shards, f"{evaluation.study}: shards of arrivals")
    return batch, measure_recordings(evaluation, watched.explainer, labels_left_out(watched.promoted))


def _waiting(inbox: Inbox) -> str:
    if not inbox.waiting:
        return ""
    some = "; ".join(f"{identity}: {why}" for identity, why in sorted(inbox.waiting.items())[:3])
    return f"; {len(inbox.waiting)} wait for the next look ({some})"


def _end(look: Look) -> State[Any]:
    data = {"look": look.key, "number": look.number, "run": look.mlflow_run_id}
    return Completed(name=look.state, message=f"{look.study} version {look.model_version}: {look.message}", data=data)


def _together(ends: Mapping[str, State[Any]]) -> State[Any]:
    """The end of the whole: failures first, then the worst end state; each study that saw anything is named."""
    failed = {name: state for name, state in ends.items() if not state.is_completed()}
    if failed:
        return Failed(message="; ".join(f"{name}: {state.message}" for name, state in failed.items()))
    worst = max((str(state.name) for state in ends.values()), key=END_STATES.index)
    telling = [state for state in ends.values() if state.name not in (NOTHING_NEW, SKIPPED)] or list(ends.values())
    return Completed(name=worst, message=" | ".join(state.message or "" for state in telling))
