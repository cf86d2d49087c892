"""Experiments: the questions of the paper, as files and a command that runs them.

Each is a `.toml` file in this folder (see `ExperimentPlan`); `misure experiment NAME` runs it.
"""

from misure.lab.experiments.plan import ExperimentPlan, list_experiments, read_plan
from misure.lab.experiments.run import run_experiment

__all__ = ["ExperimentPlan", "list_experiments", "read_plan", "run_experiment"]
