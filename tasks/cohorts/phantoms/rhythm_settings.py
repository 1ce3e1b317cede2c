"""The settings of the generated rhythms."""

from __future__ import annotations

from dataclasses import dataclass

from .settings import setting


@dataclass(frozen=True)
class EcgRhythmSettings:
    """Settings of the phantom, each with its range; heights in millivolt.

    ``minutes``: of every record. ``classes_per_subject``: how many of the eight classes a subject brings at most,
    N always among them. ``confounding``: the probability that a subject lacks a class which is bound to the other
    recorder: 0 spreads all classes evenly, at 1 LBBB and RBBB come from ``rec-a`` alone, SVTA and SBR from ``rec-b``.

    Loud, whatever the class: ``p_wave``, ``t_wave``, ``qrs``: mean heights of the P, T and R waves; ``loud_spread``:
    they wander over the beats, evenly, by this part of the mean. Evidence, of one class each; at 0 there is
    nothing where the marks are: ``ectopic_qrs`` (PVC), ``ectopic_p`` (PAC, a depth), ``f_wave`` (AFIB),
    ``retrograde_p`` (SVTA, a depth), ``u_wave`` (SBR), ``slur`` (LBBB), ``r_prime`` (RBBB).

    ``noise``: SD of white noise; ``wander``: amplitude of the baseline's slow wave, ``hum``: of the mains.
    ``spread``: SD of the logarithm of a subject's wave heights. ``age_effect``: relative change of the height of
    every P wave per decade of age from 60, whatever its class; ``sex_effect``: relative difference, men minus women.
    """

    minutes: int = setting(8, 1, 1440)
    classes_per_subject: int = setting(8, 2, 8)
    confounding: float = setting(0.0, 0.0, 1.0)
    p_wave: float = setting(0.15, 0.01, 1.0)
    t_wave: float = setting(0.3, 0.01, 1.0)
    qrs: float = setting(0.9, 0.1, 3.0)
    loud_spread: float = setting(1.0, 0.0, 1.0)
    ectopic_qrs: float = setting(0.9, 0.0, 3.0)
    ectopic_p: float = setting(0.2, 0.0, 1.0)
    f_wave: float = setting(0.1, 0.0, 1.0)
    retrograde_p: float = setting(0.2, 0.0, 1.0)
    u_wave: float = setting(0.2, 0.0, 1.0)
    slur: float = setting(0.35, 0.0, 1.0)
    r_prime: float = setting(0.35, 0.0, 1.0)
    noise: float = setting(0.02, 0.0, 0.5)
    wander: float = setting(0.05, 0.0, 0.5)
    hum: float = setting(0.02, 0.0, 0.5)
    spread: float = setting(0.15, 0.0, 0.5)
    age_effect: float = setting(0.0, -0.2, 0.2)
    sex_effect: float = setting(0.0, -0.7, 0.7)
