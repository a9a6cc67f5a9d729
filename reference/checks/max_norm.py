"""Max-norm against the quotient in PyTorch, and against torch.renorm."""

from collections.abc import Iterator

import numpy as np
import torch

import minidrop as md
from reference import tolerances as tol
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.models import tensor
from reference.optim import max_norm_

SIZES = ((40, 30), (30, 20), (20, 10))
#: (minidrop's projection, the length that it means for each matrix)
CASES = (
    ({"limit": 1.5}, {"0.weight": 1.5, "1.weight": 1.5}),
    ({"limit": 1.5, "squared": True}, {"0.weight": 1.5**0.5, "1.weight": 1.5**0.5}),
    ({"limit": 1.5, "layers": "all"}, {"0.weight": 1.5, "1.weight": 1.5, "2.weight": 1.5}),
    ({"limit": {"1.weight": 0.7}}, {"1.weight": 0.7}),
)


def checks(setting: Setting) -> Iterator[Check]:
    """One check, two rows."""
    yield Check("MaxNorm", lambda: _rows(setting), md.MaxNorm.apply)


def _rows(setting: Setting) -> Iterator[Row]:
    exact, renorm = [], []
    for options, lengths in CASES:
        init = md.Normal(0.2)  # rows of about 0.2 √n: 1.26, 1.1 and 0.9, some on either side of the limits
        model = md.Sequential(
            *(md.Linear(n, m, init=init, dtype=setting.dtype) for n, m in SIZES), seed=setting.seed
        )
        before = {key: tensor(value) for key, value in model.state_dict().items()}
        md.MaxNorm(**options).apply(model.parameters())
        for key, value in model.state_dict().items():
            limit, weight = lengths.get(key), before[key]
            what = f"MaxNorm({options}): {key}"
            wanted = max_norm_(weight.clone(), limit) if limit else weight
            allowed = tol.rounding(setting.dtype, tol.ROW_NORM + np.sqrt(weight.shape[-1])) if limit else 0.0
            exact.append(Comparison(what, value, wanted.numpy(), allowed))
            if limit:
                wanted = torch.renorm(weight, p=2, dim=0, maxnorm=limit)
                renorm.append(Comparison(what, value, wanted.numpy(), allowed + tol.RENORM_EPSILON / limit))
    source = type(setting.backend).limit_row_norms
    yield row("MaxNorm", "projected rows, all others untouched", exact, source)
    yield row("MaxNorm", "torch.renorm, which adds 1e-7", renorm, source)
