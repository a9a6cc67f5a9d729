"""The tolerances of the checks, each with where it comes from.

Errors are relative to a scale that every check names: an error of a derivative, for instance, to the largest
element of that derivative or to the sum of |dy y| whose difference it is, whichever is larger.
"""

import numpy as np

#: the spacing of float64 at 1: one rounding is half of it, relative
EPS = float(np.finfo(np.float64).eps)

#: The step h of (f(x + h) - f(x - h)) / 2h. Its truncation h² f'''/6 and its rounding eps f / h are equal, up
#: to the factors of f, at h = eps^(1/3) = 6e-6.
CENTRAL_STEP = EPS ** (1 / 3)

#: With that step both errors are eps^(2/3) = 4e-11; 2^10 leaves room for a third derivative of 6,000.
CENTRAL = 2.0**10 * EPS ** (2 / 3)

#: Slopes to the right and to the left differ by h f'' where f is smooth, which is 6e-6 for f'' of order one,
#: and by order one at a kink: above a thousand times h a second, shorter step decides.
KINK = 1000 * CENTRAL_STEP

#: The step of Im f(x + ih) / h, which subtracts nothing, so that it may be as small as it likes: h² vanishes
#: beside 1, and h itself times anything is still far from the smallest number.
COMPLEX_STEP = 1e-30

#: A derivative by complex step has rounding errors only: 2^14 of them are enough for nets of some layers.
COMPLEX = 2.0**14 * EPS

#: A pass in float32 beside the same one in float64: a hundredth, which saturated units and large inputs may
#: make of a rounding. A path of its own for float32 that is wrong is off by far more.
FLOAT32 = 2.0**17 * float(np.finfo(np.float32).eps)

#: Two float64 sums of the same products in another order.
ROUNDING = 2.0**12 * EPS

#: Two float64 paths of an optimizer, relative to the largest weight: a dozen roundings a step, magnified
#: where a root is taken of a difference.
PATH = 2.0**14 * EPS

#: ratios count as one ratio within this; they describe an error that has been found, and decide nothing
RATIO = 1e-3

#: how many elements of an array are moved one by one; of larger ones so many are sampled
ELEMENTS = 256

#: how many random directions an array beyond that is moved in besides, and how many adjointness takes
DIRECTIONS = 8
