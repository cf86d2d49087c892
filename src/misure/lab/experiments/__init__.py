"""Experiments: what the paper set out to show, as files that say it and a command that does it.

Each is a `.toml` in this folder (see `Plan`); `misure experiment NAME` runs it.
"""

from misure.lab.experiments.plan import ExperimentPlan, list_experiments, read_plan
from misure.lab.experiments.run import run_experiment

__all__ = ["ExperimentPlan", "list_experiments", "read_plan", "run_experiment"]
