"""The network on rectangles, in half precision, and on input it must refuse."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from networks import golden_network, seeded
from torch import Tensor, nn

from GDLACore.network.block import GDLABlock
from GDLACore.network.encoder import PVTv2Encoder
from GDLACore.network.linear_attention import linear_attention
from GDLACore.network.pvt_gdla import PVTGDLA

RNG = np.random.default_rng(0)


def images(channels: int, height: int, width: int) -> Tensor:
    return torch.from_numpy(RNG.normal(size=(1, channels, height, width))).float()


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the 3 x 3 convolution of tokens [H, W, C] by a sum over shifted images."""
    height, width, channels = x.shape
    depthwise = weight.shape[1] == 1 < channels
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((height, width, len(weight))) + bias
    for row in range(3):
        for column in range(3):
            shifted = padded[row : row + height, column : column + width]
            tap = weight[:, :, row, column]
            y += shifted * tap[:, 0] if depthwise else shifted @ tap.T
    return y


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-5) * weight + bias


def branch(p: np.ndarray, factor: np.ndarray, norm_weight: np.ndarray) -> np.ndarray:
    """Return one gated differential attention of [q | k | v | g], [N, 4C], with full N x N maps."""
    q, k, v, gate = np.split(p, 4, axis=1)
    phi_q, phi_k = (np.where(z > 0, z + 1, np.exp(np.minimum(z, 0))) for z in (q, k))
    result = np.empty_like(q)
    for head, lambda_ in enumerate(factor):
        start = 32 * head
        whole = slice(start, start + 32)
        results = []
        for half in (slice(start, start + 16), slice(start + 16, start + 32)):
            scores = phi_q[:, half] @ phi_k[:, half].T
            results.append(scores @ v[:, whole] / (scores.sum(1, keepdims=True) + 1e-6))
        y = results[0] - lambda_ * results[1]
        y = y / np.sqrt(np.mean(y**2, axis=1, keepdims=True) + 1e-5) * norm_weight
        result[:, whole] = y / (1 + np.exp(-gate[:, whole]))
    return result


def block_reference(block: GDLABlock, x: np.ndarray) -> np.ndarray:
    """Return the block's output for tokens [H, W, C] straight from the formulas, in fp64."""
    w = {name: value.detach().double().numpy() for name, value in block.named_parameters()}
    height, width, channels = x.shape
    a = layer_norm(x, w["norm1.weight"], w["norm1.bias"])
    a = silu(convolve(a, w["conv.weight"], w["conv.bias"]))
    main = a @ w["attn.qkvg.weight"].T + w["attn.qkvg.bias"]
    local = convolve(main, w["attn.local.0.weight"], w["attn.local.0.bias"])
    local = local @ w["attn.local.1.weight"][:, :, 0, 0].T + w["attn.local.1.bias"]
    flat = (height * width, -1)
    mixed = np.concatenate(
        [
            branch(main.reshape(flat), w["attn.lambda_main"], w["attn.norm.weight"]),
            branch(local.reshape(flat), w["attn.lambda_local"], w["attn.norm.weight"]),
        ],
        axis=1,
    )
    attended = mixed @ w["attn.out_proj.weight"].T + w["attn.out_proj.bias"]
    x = x + attended.reshape(height, width, channels)
    y = layer_norm(x, w["norm2.weight"], w["norm2.bias"])
    y = silu(y @ w["mlp.expand.weight"][:, :, 0, 0].T + w["mlp.expand.bias"])
    y = convolve(y, w["mlp.depthwise.weight"], w["mlp.depthwise.bias"])
    value, gate = np.split(y, 2, axis=-1)
    return x + (value * silu(gate)) @ w["mlp.project.weight"][:, :, 0, 0].T


# 4 x 16: the number of tokens is a square though the image is not, where the authors' code would
# take the neighbours of an 8 x 8 image.
@pytest.mark.parametrize(("height", "width"), [(6, 10), (10, 6), (4, 16), (1, 9)])
def test_a_block_keeps_neighbours_together_on_rectangles(height: int, width: int) -> None:
    block = seeded(GDLABlock(64))
    x = RNG.normal(size=(height, width, 64))
    ours = block(torch.from_numpy(x).float()[None])[0].detach().numpy()
    np.testing.assert_allclose(ours, block_reference(block, x), rtol=0, atol=2e-5)


def with_turned_kernels(network: PVTGDLA) -> PVTGDLA:
    """Return a network that does to a transposed image what ``network`` does to the image."""
    turned = PVTGDLA(in_channels=1, classes=3, encoder="b0")
    weights = network.state_dict()
    turned.load_state_dict(
        {n: v.transpose(-2, -1) if v.dim() == 4 else v for n, v in weights.items()}
    )
    return turned.eval()


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 128), (64, 256)])
@torch.inference_mode()
def test_the_transposed_image_with_transposed_kernels_gives_the_transposed_logits(
    height: int, width: int
) -> None:
    network = seeded(PVTGDLA(in_channels=1, classes=3, encoder="b0"))
    x = images(1, height, width)
    outputs = network.forward_with_supervision(x)
    turned = with_turned_kernels(network).forward_with_supervision(x.mT)
    for logits, other in zip(outputs, turned, strict=True):
        assert logits.shape == (1, 3, height, width)
        assert logits.std() > 0.1
        torch.testing.assert_close(other.mT, logits, rtol=0, atol=5e-5)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 100), (224, 225), (16, 16)])
def test_sides_that_are_no_multiples_of_32_are_refused_with_their_size(
    height: int, width: int
) -> None:
    network = PVTGDLA(in_channels=1, classes=2, encoder="b0").eval()
    with pytest.raises(ValueError, match=f"multiples of 32, not {height} x {width}"):
        network(images(1, height, width))


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_than_one_or_three_channels_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"in_channels must be 1 or 3, not {channels}"):
        PVTGDLA(in_channels=channels, classes=2, encoder="b0")


def test_an_unknown_encoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="b0, b1, b2, b3, b4, b5, not 'b6'"):
        PVTv2Encoder("b6")


@torch.inference_mode()
def test_a_grey_image_enters_the_encoder_as_three_equal_channels() -> None:
    network = seeded(PVTGDLA(in_channels=1, classes=2, encoder="b0"))
    seen: list[Tensor] = []
    network.encoder.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    x = images(1, 32, 64)
    network(x)
    assert torch.equal(seen[0], torch.cat([x, x, x], dim=1))


@torch.inference_mode()
def test_an_image_gives_the_same_logits_alone_and_in_a_batch() -> None:
    network = seeded(PVTGDLA(in_channels=3, classes=2, encoder="b0"))
    batch = torch.cat([images(3, 32, 64) for _ in range(3)])
    alone = torch.cat([network(batch[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(network(batch), alone, rtol=0, atol=5e-5)


@pytest.mark.parametrize("sides", [1, 2, 4, 8])
@torch.inference_mode()
def test_the_training_heads_can_be_had_at_a_fraction_of_the_size(sides: int) -> None:
    network = seeded(PVTGDLA(in_channels=1, classes=2, encoder="b0", auxiliary_classes=5))
    *auxiliary, output = network.forward_with_supervision(images(1, 64, 96), stride=sides)
    assert [tuple(y.shape) for y in auxiliary] == 3 * [(1, 5, 64 // sides, 96 // sides)]
    assert output.shape == (1, 2, 64, 96)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("parts", [None, torch.tensor([1.0, -0.5])])
def test_linear_attention_of_a_large_image_survives_half_precision(
    dtype: torch.dtype, parts: Tensor | None
) -> None:
    tokens = 16_384  # a 512 x 512 image at stride 4: the normaliser is five times float16's limit
    q, k, v = (torch.from_numpy(RNG.normal(size=(1, 2, tokens, 32))).to(dtype) for _ in range(3))
    scale = None if parts is None else parts[:, None, None].expand(2, 2, 32)
    y = linear_attention(q, k, v, scale)
    expected = torch.zeros(1, 2, tokens, 32, dtype=torch.float64)
    count = 1 if parts is None else 2
    phi_q, phi_k = (nn.functional.elu(z.double()) + 1 for z in (q, k))
    for part in range(count):
        here = slice(32 // count * part, 32 // count * (part + 1))
        key_value = phi_k[..., here].mT @ v.double()
        normaliser = phi_q[..., here] @ phi_k[..., here].sum(2)[..., None] + 1e-6
        assert normaliser.min() > torch.finfo(torch.float16).max
        factor = 1.0 if parts is None else float(parts[part])
        expected += factor * (phi_q[..., here] @ key_value) / normaliser
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def published() -> tuple[PVTGDLA, Tensor, Tensor]:
    """Return the published network, an image of its size, and the logits in float32."""
    network, x = golden_network(), images(1, 224, 224)
    with torch.inference_mode():
        return network, x, network(x)


def assert_near(logits: Tensor, expected: Tensor, atol: float) -> None:
    assert torch.isfinite(logits).all()
    assert (logits.float() - expected).abs().max() < atol
    assert (logits.argmax(1) == expected.argmax(1)).float().mean() > 0.98


@torch.inference_mode()
def test_mixed_precision_gives_nearly_the_same_logits(
    published: tuple[PVTGDLA, Tensor, Tensor],
) -> None:
    network, x, expected = published
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(x)
    assert_near(logits, expected, atol=0.15)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float16, 0.02), (torch.bfloat16, 0.15)])
@torch.inference_mode()
def test_half_precision_weights_give_nearly_the_same_logits(
    published: tuple[PVTGDLA, Tensor, Tensor], dtype: torch.dtype, atol: float
) -> None:
    network, x, expected = published
    state = network.state_dict()
    half = PVTGDLA(in_channels=1, classes=9)
    half.load_state_dict(state)
    assert_near(half.to(dtype).eval()(x.to(dtype)), expected, atol)
