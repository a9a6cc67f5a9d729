"""The PyTorch equivalents of minidrop, one file beside each of its files, and the proof that both agree.

    python -m reference          every layer, loss, optimizer, ... of minidrop against PyTorch, as a table
    python -m reference run      whole training runs against PyTorch, as a table and a figure

Nothing here has a hand-written backward pass: modules are `torch.nn`'s or are written for autograd, and the
optimizers are `torch.optim`'s wherever PyTorch has them. This package belongs to the checkout, not to the
installed minidrop, which never imports torch.
"""
