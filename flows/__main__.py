"""`python -m flows` is `plumbline`."""

from .cli import main

if __name__ == "__main__":  # a process that a run starts imports this file too
    main()
