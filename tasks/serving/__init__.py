"""A registered version behind one address, replaced by the next champion without a refused request."""

from .running import serve

__all__ = ["serve"]
