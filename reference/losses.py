"""PyTorch's own: `torch.nn.CrossEntropyLoss`, which like minidrop's loss takes logits and class numbers."""

from torch.nn import CrossEntropyLoss as SoftmaxCrossEntropy

__all__ = ["SoftmaxCrossEntropy"]
