"""Experiments: what the paper set out to show, as files that say it and a command that does it.

Each is a `.toml` in this folder (see `Plan`); `misure experiment NAME` runs it.
"""

from misure.experiments.execute import run_experiment
from misure.experiments.plan import ExperimentPlan, list_experiments, read_plan

__all__ = ["ExperimentPlan", "list_experiments", "read_plan", "run_experiment"]
