"""Explanation methods and quality measures: tensors in, tensors or tables out.

Nothing here reads files or knows MLflow, Prefect or the networks of `models`; what is needed of a
network is the structural protocol of :mod:`.protocols`. Imports are relative so that the package can
be shipped inside a registered model under another parent name.
"""
