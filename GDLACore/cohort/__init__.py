"""Many studies with one model: found, segmented, recorded and resumed, here or on a cluster."""
