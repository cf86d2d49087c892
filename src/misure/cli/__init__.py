"""The command line."""

from misure.cli.app import main

__all__ = ["main"]
