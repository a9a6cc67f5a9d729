"""Let one step of an optimizer see other hyperparameters than its groups hold."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer


@contextmanager
def repriced(optimizer: Optimizer, changes: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Change each parameter group inside a `with` block, and put its own values back."""
    before = [{key: group[key] for key in change} for group, change in zip_groups(optimizer, changes)]
    for group, change in zip_groups(optimizer, changes):
        group.update(change)
    try:
        yield
    finally:
        for group, own in zip_groups(optimizer, before):
            group.update(own)


def zip_groups(
    optimizer: Optimizer, changes: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each parameter group with its changes."""
    return zip(optimizer.param_groups, changes, strict=True)
