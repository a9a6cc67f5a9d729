"""The tolerances of all tests, each with its reason. Nothing else in tests/ holds one.

A relative tolerance `rtol` allows |actual - expected| <= rtol * |expected|; tests whose expected values may
cancel to nearly zero pass the same number as `atol`, since their terms are of order one.
"""

# Two float64 formulas for the same number: each rounds by 1.1e-16, a few hundred times at most (sums of
# fewer than a hundred products of order one, one exp or tanh of a few ulp).
FLOAT64_ROUNDING = 1e-13

# The same in float32, where one rounding is 6e-8.
FLOAT32_ROUNDING = 1e-5

# One rounding to the nearest float32, and nothing else: half an ulp is 2^-24 relative.
FLOAT32_ONE_ROUNDING = 2.0**-24

# How many standard errors a mean or a variance over random draws may be off. A right sampler is outside with
# probability 2e-9; and since every seed is fixed, a test that passes once passes always.
STANDARD_ERRORS = 6.0

# Two float64 runs of one optimizer over at most 500 steps, written in different orders of operations: every
# step rounds a dozen times, momentum sums the errors of some ten steps, and a root of a difference (centered
# RMSprop) magnifies them. Used as rtol and atol; the weights and the steps are of order one.
OPTIMIZER_PATH = 1e-12

# The same run in float32 and in float64, 30 steps: one rounding is 5e8 times coarser,
# and the path is ten times shorter and less twisted than the longest in float64. As rtol and atol.
OPTIMIZER_PATH_FLOAT32 = 1e-5

# Above this, two paths are different on purpose and not by rounding.
OPTIMIZERS_APART = 1e-6

# The length of a row of at most 64 numbers after projection, in units of the dtype's eps, relative to the
# limit: the sum of squares rounds by a few eps (2.4 in all is the most seen), then come a root and a product.
ROW_NORM_EPS = 8

# The gradient of a whole random net, float64, against its derivative by complex step: at most four matrices,
# each of which may magnify by ten (a dropout that keeps a tenth), so 1e4 times the rounding of one number.
# As rtol and atol.
COMPLEX_STEP = 1e-10

# <dy, J v> against <Jᵀ dy, v> in float64: the same products in another order, relative to the sum of their
# absolute values.
ADJOINT = 1e-12

# A loss or a gradient of a random net whose batch or sums are taken in another order, float64, at most a
# hundred terms. As rtol, and as atol with terms of order one to ten.
REORDERED = 1e-12

# Two float64 trainings of at most ten steps that differ by the order of their sums: what rounds differently
# in one step is magnified by the next ones, by less than a factor of ten each. As rtol and atol.
TRAINING_PATH = 1e-9

# The same in float32, two steps, where one rounding is 5e8 times coarser. As rtol and atol.
TRAINING_PATH_FLOAT32 = 1e-4

# How near an input of a ReLU may come to 0 where a derivative is taken.
KINK = 1e-6

# A number of dropped elements that is less probable than this, or beyond one that is, is no accident. One
# run of the property tests asks ten thousand times, so a right sampler fails once in ten billion runs.
CHANCE = 1e-14
