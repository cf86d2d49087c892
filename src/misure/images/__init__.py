"""Pictures, volumes and regions as tensors, and the files they come from."""
