"""What the symbols of WFDB beat annotations mean."""

from __future__ import annotations

BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ!")
FLUTTER = "!"
"""A wave of ventricular flutter, counted as a beat, but it has neither P nor QRS nor T."""
NORMAL_LIKE = frozenset("NLRBej")
"""Beats that come when they are due: class N of the standard AAMI EC57, and unspecified bundle branch block."""
UNBLOCKED = frozenset("NejAaJSn")
"""Beats from above the ventricles that find both bundle branches open."""
