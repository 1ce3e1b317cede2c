"""Trains the members of a version and tests what they can do."""
