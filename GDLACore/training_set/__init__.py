"""A folder of images with the segments that a user has corrected, for models to learn from."""

from GDLACore.training_set.adding import add_case
from GDLACore.training_set.case import CorrectedCase
from GDLACore.training_set.reading import case_folders, read_training_set

__all__ = ["CorrectedCase", "add_case", "case_folders", "read_training_set"]
