"""Teaching a model further on cases that its users have corrected (extra: train)."""
