"""Measures of an attribution: is it faithful, local, stable, simple, and does it depend on the model?"""
