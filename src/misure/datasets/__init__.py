"""Data sets whose samples can be explained, each in a file of its own."""
