"""Networks that misure brings along."""
