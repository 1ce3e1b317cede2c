"""What runs, whole: the flows, the catalogue of studies and the command line."""

from tasks.allocator import keep_freed_memory

keep_freed_memory()  # here, because every way to start a flow imports this package before it computes
