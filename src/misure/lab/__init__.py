"""The laboratory: what trains networks and reproduces experiments, apart from the product."""
