"""Stage 2 for people: few, broad parts, found by forward passes alone."""
