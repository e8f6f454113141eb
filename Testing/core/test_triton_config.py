"""What the configuration of a served model says, as Triton's own definition of it reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from phantom import make_card
from triton_definition import parsed

from GDLACore.serving import contract
from GDLACore.serving.triton_config import BACKENDS, TritonConfig, config_text, largest_batch

CARD = make_card()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_configuration_says_what_the_contract_says(backend):
    odd = replace(CARD, title='Bauch "neu" \\ 腹', sha256="a1" * 32)
    config = parsed(config_text(odd, TritonConfig(backend, 3)))
    assert (config.name, config.backend) == ("abdomen", backend)
    for given, kinds in (
        (config.input, contract.inputs(odd)),
        (config.output, contract.outputs(odd)),
    ):
        assert [(one.name, tuple(one.dims)) for one in given] == [
            (kind.name, kind.shape[1:]) for kind in kinds
        ]
    assert config.max_batch_size == largest_batch(odd)
    assert config.HasField("dynamic_batching")
    assert [group.count for group in config.instance_group] == [3]
    told = {key: {"string_value": one.string_value} for key, one in config.parameters.items()}
    assert contract.told_card({"name": "abdomen", "parameters": told}) == odd
    (warm_up,) = config.model_warmup
    assert set(warm_up.inputs) == {kind.name for kind in contract.inputs(odd)}


def test_only_the_graph_for_gpus_asks_for_them():
    gpu, cpu = (parsed(config_text(CARD, TritonConfig(backend))) for backend in BACKENDS)
    assert [group.kind for group in gpu.instance_group] == [gpu.instance_group[0].KIND_GPU]
    assert [group.kind for group in cpu.instance_group] == [cpu.instance_group[0].KIND_CPU]
    (accelerator,) = gpu.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "cuda"
    assert accelerator.parameters["use_tf32"] == "0"
    assert not cpu.HasField("optimization")


def test_large_pictures_are_joined_in_smaller_batches():
    sizes = [replace(CARD, input_size=side) for side in (64, 512, 4096)]
    first, *others = [largest_batch(card) for card in sizes]
    assert first > others[0] > others[1] > 1


def test_many_classes_are_joined_in_smaller_batches():
    few, many = CARD, make_card(tuple(f"structure {number}" for number in range(104)))
    assert largest_batch(few) == 32
    # As many as have place in 4 GB with the largest labels.
    assert largest_batch(many) == 3
