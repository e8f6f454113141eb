"""``python -m GDLACore.comparison.forward_pass SIZE THREADS < CARD.json``: the memory it takes.

Prints MiB as JSON. A process of its own, because memory that was freed is used again.
"""

from __future__ import annotations

import json
import sys

import torch

from GDLACore.comparison.costs import peak_of_this_process_mib
from GDLACore.model.card import ModelCard

if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    card = ModelCard.from_json(sys.stdin.read())
    print(json.dumps(peak_of_this_process_mib(card, int(sys.argv[1]))))
