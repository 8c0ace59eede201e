"""`python -m isthmus`: the command line, where the script `isthmus` is not on the path."""

from __future__ import annotations

from isthmus.cli import main

if __name__ == "__main__":
    main()
