"""Comparisons: the same objects explained by several methods, and every metric over them."""
