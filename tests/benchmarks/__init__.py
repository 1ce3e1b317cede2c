"""How fast Plumbline is against what one would use instead: `make bench`, or `python -m benchmarks --help`."""
