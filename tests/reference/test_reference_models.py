"""The documents' networks: the same outputs on both sides from the same weights, training or not."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the reference here: pip install '.[reference]'")

from minidrop.building import build_model  # noqa: E402
from reference.models import DOCUMENTS, document, load, mlp, share_masks, tensor  # noqa: E402
from reference.tolerances import summing  # noqa: E402

WIDEST = 784  # terms of the longest sum in the nets that are run here


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "001"])
@pytest.mark.parametrize("training", [True, False])
def test_a_documents_network_is_the_same_on_both_sides(name, training):
    ours, theirs = build_model(document(name)), mlp(document(name))
    load(theirs, ours)
    x = np.random.default_rng(0).uniform(size=(5, 784)).astype(np.float32)
    ours.train(training)
    theirs.train(training)
    y = ours.forward(x)
    if training:
        share_masks(ours, theirs)
    tolerance = len(ours) * summing("float32", WIDEST)  # each layer carries on the errors of those before
    np.testing.assert_allclose(theirs(tensor(x)).detach().numpy(), y, atol=tolerance * np.abs(y).max())


def test_001_is_8192_wide_with_masks_that_the_batch_shares():
    """Its 141 million weights are counted, not made."""
    config = document("001")
    sizes = config.layer_sizes()
    assert sum((n + 1) * m for n, m in pairwise(sizes)) == 140_746_762
    with torch.device("meta"):
        module = mlp(config)
    assert sum(p.numel() for p in module.parameters()) == 140_746_762
    assert [part.per for part in module if hasattr(part, "per")] == ["feature"] * 4
