"""Instances: networks that report objects, each with a class, a score and a mask of its own.

Detectors and networks of queries (Mask R-CNN, YOLO, DETR, Mask2Former) propose masks, and report
those whose score is high enough. For misure such a network is two networks in one:

- read by class, its logits are those of the best proposal of each class, so all that is said of
  classes can be said of it;
- read by object (see `misure.models.binding`), it has one channel for each object that it reports
  on the whole image. On every image shown, its instances are matched to these objects: same class,
  largest overlap, at equal overlap the higher score. The channel holds the mask of the instance
  that matches; an object that no instance matches is drawn nowhere.

In both, a proposal has at each pixel the smaller of two logits: that of its mask, and that of its
score less that of the least score. So it is positive where the network draws what it reports, it is
negative everywhere if the score is too low, and gradients flow through masks and scores.
"""

from misure.models.instances.bound import instance_model, instance_settings
from misure.models.instances.detections import Detections, Pixels, Reported
from misure.models.instances.forms import InstanceForm, ObjectsForm
from misure.models.instances.readers import InstanceReader, ThresholdReader

__all__ = [
    "Detections",
    "InstanceForm",
    "InstanceReader",
    "ObjectsForm",
    "Pixels",
    "Reported",
    "ThresholdReader",
    "instance_model",
    "instance_settings",
]
