"""Checks that hold hand-written layers, losses and optimizers to their formulas, minidrop's and anybody's.

>>> import minidrop as md
>>> from minidrop.testing import check_layer
>>> check_layer(md.Linear(3, 2)).passed
True

`minidrop.testing.strategies` has hypothesis strategies for shapes, arrays, labels and layers.
"""

from minidrop.testing.layers import check_layer
from minidrop.testing.losses import check_loss
from minidrop.testing.optimizers import check_optimizer
from minidrop.testing.report import CheckError, Outcome, Report

__all__ = ["CheckError", "Outcome", "Report", "check_layer", "check_loss", "check_optimizer"]
