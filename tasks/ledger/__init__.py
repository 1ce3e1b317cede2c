"""The ledger: the SQL database of evaluations, scores and relevance shares."""

from .database import Ledger, LedgerError, open_ledger
from .models import Baseline, Evaluation, GateDecision, Look
from .store import (
    begin,
    champions,
    evaluations,
    find,
    finish,
    gate_history,
    quarantine,
    record_gate,
    record_quarantine,
    record_scores,
    record_shares,
    scores,
    shares,
    stamp_checked,
)

__all__ = [
    "Baseline",
    "Evaluation",
    "GateDecision",
    "Ledger",
    "LedgerError",
    "Look",
    "begin",
    "champions",
    "evaluations",
    "find",
    "finish",
    "gate_history",
    "open_ledger",
    "quarantine",
    "record_gate",
    "record_quarantine",
    "record_scores",
    "record_shares",
    "scores",
    "shares",
    "stamp_checked",
]
