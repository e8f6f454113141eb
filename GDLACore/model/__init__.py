"""What a model is without its network: its card, the catalogue, and the card inside a file."""
