"""What helps a person review a segmentation: where to look, what to carry on, what was changed."""
