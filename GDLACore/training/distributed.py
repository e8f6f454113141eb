"""A training over several processes that computes what one process would.

The loss and the normalisation depend on sums over the whole batch. Each process holds a share of
the samples, so these sums are taken over all processes, in the backward pass too; then the number
of processes changes nothing but rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx, once_differentiable


def process_count() -> int:
    """Return the number of processes of this training, 1 if it is not distributed."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def process_rank() -> int:
    """Return which of them this one is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own_share(count: int) -> range:
    """Return which of ``count`` samples are this process's: a block, in the order of ranks."""
    rank, processes = process_rank(), process_count()
    return range(rank * count // processes, (rank + 1) * count // processes)


def total(value: Tensor) -> Tensor:
    """Return the sum of ``value`` over all processes.

    Its gradient is summed as well, and is thereby the processes' number too large, by which
    ``DistributedDataParallel`` divides when it averages the gradients of the parameters.
    """
    return value if process_count() == 1 else _Total.apply(value)


def gathered(value: Any) -> list[Any]:
    """Return the ``value`` of every process, in the order of ranks."""
    if process_count() == 1:
        return [value]
    values: list[Any] = [None] * process_count()
    distributed.all_gather_object(values, value)
    return values


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor) -> Tensor:
        value = value.clone()
        distributed.all_reduce(value)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        distributed.all_reduce(gradient)
        return gradient


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over all processes; ``nn.SyncBatchNorm`` knows GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or process_count() == 1:
            return super().forward(x)
        axes, kind = (0, 2, 3), x.dtype
        x = x.to(torch.promote_types(kind, torch.float32))
        count = total(x.new_tensor(x.numel() / x.shape[1]))
        mean = total(x.sum(axes)) / count
        centred = x - mean[:, None, None]
        variance = total(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(kind)


def share_norms(network: nn.Module) -> None:
    """Have the batch normalisations of ``network`` count all processes; its state stays."""
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared)
