"""Searches for stage 2, one file each: the smallest region that still suffices."""
