"""Engines whose networks run on the test's own server, and what they should find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from inference_server import InferenceServer, inference_server
from served_network import ServedNetwork

from GDLACore.engine import Engine, load_engine
from GDLACore.engine.confidence import confidence
from GDLACore.engine.label_maps import enlarged_labels, largest
from GDLACore.engine.protocol import label_type
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.remote import RemoteServer
from GDLACore.remote.slice_input import network_input
from GDLACore.serving import contract


@contextmanager
def remote_engine(
    network: ServedNetwork, **options: object
) -> Iterator[tuple[Engine, InferenceServer]]:
    """Yield an engine of ``network``, and its server, which has seen nothing but its opening."""
    with inference_server(network) as server:
        address = RemoteServer(server.url, **options)
        with load_engine(network.card.name, server=address) as engine:
            yield engine, server


def expected(
    network: ServedNetwork, slices: np.ndarray, borders: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the confidence of a local engine that sees what the server sees."""
    card = network.card
    plan = slice_resampling(card.resampling, slices.shape[2:], card.input_size)
    seen = contract.dequantised(*contract.quantised(network_input(slices, plan, card)))
    logits, kind = network.logits(seen), label_type(card)
    if borders == "published":
        labels = [plan.labels_out(largest(one, kind)) for one in logits]
    else:
        labels = [enlarged_labels(one.copy(), plan, kind) for one in logits]
    return np.stack(labels), np.stack([confidence(one.copy(), plan) for one in logits])
