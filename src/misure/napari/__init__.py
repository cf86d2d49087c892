"""napari: explanations as layers of its viewer, and widgets that make them and browse runs."""
