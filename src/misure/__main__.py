"""`python -m misure` is the command line."""

from misure.cli.app import main

main()
