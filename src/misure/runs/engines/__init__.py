"""Where the work of a run is done: processes on this machine, or a Ray cluster."""
