"""Which version may be called champion."""
