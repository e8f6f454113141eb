"""Training PVT-GDLA on one's own images (extra: train)."""
