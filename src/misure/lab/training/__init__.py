"""Training networks to explain: data sets with annotations, networks of MONAI."""

from misure.lab.training.trainer import Training, train

__all__ = ["Training", "train"]
