"""Every tolerance of the comparison with PyTorch, and why it is what it is. No other file here holds one.

Two programs that compute the same number in the same dtype differ by their roundings only. One rounding is at
most half an eps, relative (eps is 2.2e-16 in float64, 1.2e-7 in float32); n of them on each side are at most
n eps between the two. So a tolerance is eps times a count of the roundings on the longest way to a number.

An error is relative to the expected value, but at least to the root mean square of its array: a sum that
happens to cancel has errors of the size of its terms.
"""

import numpy as np

#: y = c x m against x m / k: two products and a rounded constant on either side, and one to spare.
ELEMENTWISE = 4

#: One exp or tanh is off by up to four units in the last place in vectorised libraries (NumPy promises 4,
#: SLEEF, which PyTorch uses, 1), followed by up to four more operations: e^-x, 1 + ., 1 / ., y (1 - y) dy.
FUNCTION = 12

#: An update of one weight, by optimizer: how many rounded operations its formula has, constants included
#: (a product with 1 - β rounds the constant, too).
UPDATES = {
    "sgd": 3,
    "momentum": 10,  # the emulation's price, quotient and two products; then velocity and weight
    "hinton": 14,  # the same, a norm (see ROW_NORM), its quotient and a product
    "adam": 16,  # two moments of four each, two corrections with a power, root, sum, quotient, product
    "adamw": 18,
    "adagrad": 10,
    "adadelta": 18,
    "rmsprop": 18,
    "adamax": 12,
    "nadam": 24,
}

#: The length of a row: a sum of n squares, of which half the relative error remains after the root, then
#: quotient and product.
ROW_NORM = 4

#: torch.renorm divides by |W_i| + 1e-7.
RENORM_EPSILON = 1e-7

#: How many standard errors a mean or variance of random draws may be off. A right sampler is outside with
#: probability 2e-9, for one row.
STANDARD_ERRORS = 6.0

#: The largest of n uniforms on [-a, a] is below a (1 - 2 x / n) with probability e^-x; both ends of two
#: samples, 25 each: 6e-11.
EXTREME = 2 * 25.0

#: PyTorch's schedulers multiply on from epoch to epoch: two roundings each; and the formula's own.
SCHEDULE_STEP, SCHEDULE = 2, 6

#: (pixel / 255 - mean) / std: three roundings, two of constants that NumPy takes as Python floats.
PIXELS = 6

#: Whole runs in float64, as the largest relative difference of a weight. The proof's promise; what is found
#: is printed beside it, and is some hundred times smaller.
RUN_WEIGHTS = 1e-9

#: Whole runs in float32: see `reference.parity`, where the bound is derived from what rounding does to
#: minidrop's own run.
RUN_FACTOR = 4.0


def eps(dtype: str) -> float:
    """The distance from 1 to the next number of the dtype."""
    return float(np.finfo(dtype).eps)


def rounding(dtype: str, operations: float) -> float:
    """What `operations` roundings on each side may add up to."""
    return operations * eps(dtype)


def summing(dtype: str, terms: int, operations: int = ELEMENTWISE) -> float:
    """A sum of `terms` products in any order, and `operations` roundings more.

    With terms of random signs the k-th partial sum is about √k terms large and its rounding uniform on
    ± half an eps of that: standard deviation eps √k / √12. All n of them together have eps n / √24, which
    relative to the result's root mean square, √n terms, is 0.2 eps √n; on two sides 0.29 eps √n. Six
    standard deviations (see STANDARD_ERRORS) are less than 2 eps √n.
    """
    return float(2 * np.sqrt(terms) + operations) * eps(dtype)


def path(dtype: str, optimizer: str, steps: int) -> float:
    """The weights after `steps` updates along given gradients.

    The roundings of one step count in full, as if all went the same way; those of different steps are
    independent and add up as a random walk does.
    """
    return UPDATES[optimizer] * float(np.sqrt(steps)) * eps(dtype)
