"""Runs: every object of every sample of a data set explained, once, whatever happens meanwhile."""
