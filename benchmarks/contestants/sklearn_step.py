"""scikit-learn's step: MLPClassifier with SGD and momentum; it has neither dropout nor max-norm."""

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.workload import Workload


class SklearnStep:
    """`partial_fit` on one batch, without the options that would make it do more."""

    def __init__(self, workload: Workload) -> None:
        self.model = MLPClassifier(
            workload.sizes[1:-1],
            solver="sgd",
            learning_rate_init=workload.lr,
            momentum=workload.momentum,
            nesterovs_momentum=False,
            alpha=0.0,
            batch_size=workload.batch,
            shuffle=False,
            random_state=workload.seed,
        )
        self.inputs, self.labels = workload.inputs, workload.labels
        self.classes = np.arange(workload.sizes[-1])

    def __call__(self) -> float:
        """One step; the loss before its update."""
        self.model.partial_fit(self.inputs, self.labels, classes=self.classes)
        return float(self.model.loss_)


def step(**fields: Any) -> SklearnStep:
    """scikit-learn's step on a workload."""
    return SklearnStep(Workload(**fields))
