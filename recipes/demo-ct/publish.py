"""Make the model file that ships from a finished training.

    python recipes/demo-ct/publish.py runs/demo-ct/final.safetensors [--drop "Pancreas" ...]

The card is the recipe's. A structure that did not reach the bar on the held-out patient is dropped
with its output channel, which leaves the choice among the others as it was. The file goes to
Resources/models, and its hash is printed for Resources/models.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from pathlib import Path

import torch
from torch import nn

from GDLACore.model.card import ModelCard
from GDLACore.network.checkpoint import load_model, save_model
from GDLACore.resources import resource_path

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path)
    parser.add_argument("--drop", nargs="*", default=[], metavar="NAME")
    arguments = parser.parse_args()
    network, trained = load_model(arguments.trained)
    card = ModelCard.from_json((FOLDER / "card.json").read_text(encoding="utf-8"), "card.json")
    if [label.name.casefold() for label in card.labels] != [
        label.name.casefold() for label in trained.labels
    ]:
        parser.error("the training was for other structures than card.json")
    dropped = {name.casefold() for name in arguments.drop}
    if unknown := dropped - {label.name.casefold() for label in card.labels}:
        parser.error(f"no structure is called {', '.join(sorted(unknown))}")
    kept = [label for label in card.labels if label.name.casefold() not in dropped]
    rows = [0, *(label.value for label in kept)]
    head = nn.Conv2d(network.head.in_channels, len(rows), 1)
    head.load_state_dict({"weight": network.head.weight[rows], "bias": network.head.bias[rows]})
    network.head = head
    labels = tuple(
        dataclasses.replace(label, value=value) for value, label in enumerate(kept, start=1)
    )
    folder = resource_path("models.json").parent / "models"
    folder.mkdir(exist_ok=True)
    with torch.inference_mode():
        path = save_model(
            folder / "demo-ct.safetensors", network, dataclasses.replace(card, labels=labels)
        )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
