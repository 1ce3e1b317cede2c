"""Looks into a version beyond its heatmaps: what its units do, what its classes look like, when it decides.

An inspection is a function `inspect(looked: Inspected) -> Finding`, one file each. It belongs to a job of a study
by its name in the catalogue; its tables, figures and sentences become part of the evaluation's run and page.
"""
