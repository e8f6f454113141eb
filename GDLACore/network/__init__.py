"""PVT-GDLA in PyTorch, its checkpoints and the mixers the paper compares it with."""
