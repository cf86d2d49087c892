"""Networks that misure builds, and the one that it ships."""
