"""The commands of the command line, one a file; each is a few lines over a function of the library.

Nothing here imports torch before a command runs.
"""
