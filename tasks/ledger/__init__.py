"""The ledger: the SQL database of evaluations, scores and relevance shares."""

from .database import Ledger, LedgerError, open_ledger
from .models import Evaluation, GateDecision
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
    "Evaluation",
    "GateDecision",
    "Ledger",
    "LedgerError",
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
