"""Ten laptops at one server at once: nobody gets what is another's, and nobody has to wait long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from department import at_once, patient, segmented
from real_triton import RunningTriton

from GDLACore.remote import RemoteServer

LAPTOPS = 10
BATCH = 2
# Two sizes: whether requests of the same size are put together must not matter.
SHAPES = ((24, 70, 92), (24, 64, 80))


def test_ten_laptops_at_once_get_their_own_labels_and_advance_alike(
    tiny_model: Path, triton: RunningTriton
) -> None:
    patients = [patient(seed, SHAPES[seed % 2]) for seed in range(LAPTOPS)]
    # Eighty requests may wait there at a time, on a machine that has other things to do.
    server = RemoteServer(triton.url, timeout_s=120)
    alone = [segmented(patient, tiny_model, server) for patient in patients]
    together, advance = at_once(patients, tiny_model, server)
    assert len({seen.checksum for seen in alone}) == LAPTOPS
    for seen, expected in zip(together, alone, strict=True):
        assert expected.error is None and seen.error is None, seen.sentence
        assert seen.checksum == expected.checksum
    local = segmented(patients[0], tiny_model, None)
    assert np.mean(local.labels == alone[0].labels) > 0.999
    # The first batch they wait for together. Whose threads get no turn may then fall behind, so
    # that alike they are only on the average, but none has to stand still for the others.
    assert min(advance) > BATCH, advance
    assert np.mean(advance) >= max(advance) / 4, advance
