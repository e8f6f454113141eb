"""Networks trained on the same data, by the same recipe, from the same seeds, and set side by side.

For PyTorch; ``command`` is the way in.
"""
