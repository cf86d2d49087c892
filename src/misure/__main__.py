"""`python -m misure` is the command line."""

from misure.cli import main

main()
