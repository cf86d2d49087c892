"""Training the networks to be explained: on data sets with annotations, with MONAI."""

from misure.lab.training.trainer import TrainedResult, train

__all__ = ["TrainedResult", "train"]
