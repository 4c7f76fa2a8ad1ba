"""What every method's training stands on: the run and its folder, and the set of videos it learns from."""

from untrimmed.training.data import DataSettings, TrainingSet
from untrimmed.training.run import Run, claim

__all__ = ["DataSettings", "Run", "TrainingSet", "claim"]
