"""Write the golden vectors' network as the authors publish theirs: a ``.ckpt`` of 129 MB."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from networks import official_weights

from GDLACore.atomic import replacing


def main() -> None:
    """Write the file named by the only argument; tell its size."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        torch.save({"model_state_dict": official_weights(), "epoch": 0, "best_dice": 0.0}, part)
    print(json.dumps({"bytes": path.stat().st_size}))


if __name__ == "__main__":
    main()
