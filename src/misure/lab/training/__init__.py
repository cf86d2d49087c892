"""Training networks to explain: data sets with annotations, networks of MONAI."""

from misure.lab.training.trainer import TrainedResult, train

__all__ = ["TrainedResult", "train"]
