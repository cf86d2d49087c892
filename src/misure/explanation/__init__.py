"""MiSuRe itself: the sufficient region, the minimally sufficient one, and the evidence for both."""
