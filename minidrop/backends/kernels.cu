// The operations of minidrop/backends/base.py as CUDA kernels, each named after its plain definition there.
//
// The file is compiled twice, with -DREAL=float and -DREAL=double, by NVRTC, by nvcc, and, for tests on machines
// without a GPU, by g++. It includes nothing. Matrices are row by row without gaps. Every sum is added in an order
// that depends on the sizes alone, so the same run gives the same bits again.
//
// What changes from step to step is read from `Numbers`, in device memory: a recorded step needs no new arguments.

#ifndef REAL
#define REAL float
#endif

typedef long long integer;
typedef unsigned long long word;

struct Numbers {
    double lr, momentum;     // η and μ, as schedules set them
    integer step;            // how many steps were taken; while a step is under way, before its update, its index
    integer velocity_steps;  // how many of them had a momentum
    double momentum_product; // NAdam's M_t
};

struct Tally { // how far an epoch is: minidrop/backends/tally.py
    double batches, loss_sum;
};

extern "C" __global__ void set_numbers(Numbers *numbers, double lr, double momentum, integer step,
                                       integer velocity_steps, double momentum_product) {
    if (threadIdx.x == 0) *numbers = Numbers{lr, momentum, step, velocity_steps, momentum_product};
}

extern "C" __global__ void advance_numbers(Numbers *numbers) {
    if (threadIdx.x != 0) return;
    numbers->step += 1;
    numbers->velocity_steps += numbers->momentum != 0;
}

__device__ __forceinline__ integer first_index() { return (integer)blockIdx.x * blockDim.x + threadIdx.x; }
// Several replicas, models that differ in their seeds alone, lie one behind another; number r is the launch's second
// dimension, and draws from the streams of seed + r.
__device__ __forceinline__ integer replica() { return blockIdx.y; }
__device__ __forceinline__ integer thread_count() { return (integer)gridDim.x * blockDim.x; }

// ---- random lanes: minidrop/streams.py ---------------------------------------------------------------------------

const int LANES = 16; // of 16 bits, in a block of four words

// Philox4x64-10 (Salmon et al. 2011) under key (seed, stream), at counter (block + 1, step, 0, 0) as in NumPy,
// which adds 1 before the first block.
struct Philox {
    word out[4];

    __device__ Philox(word seed, word stream, word step, word block) {
        word c0 = block + 1, c1 = step, c2 = 0, c3 = 0;
        for (int round = 0; round < 10; round++) {
            word high0 = __umul64hi(0xD2E7470EE14C6C93ull, c0), low0 = 0xD2E7470EE14C6C93ull * c0;
            word high1 = __umul64hi(0xCA5A826395121157ull, c2), low1 = 0xCA5A826395121157ull * c2;
            c0 = high1 ^ c1 ^ seed;
            c1 = low1;
            c2 = high0 ^ c3 ^ stream;
            c3 = low0;
            seed += 0x9E3779B97F4A7C15ull;
            stream += 0xBB67AE8584CAA73Bull;
        }
        out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
    }

    __device__ int lane(int i) const { return (int)(out[i / 4] >> (16 * (i % 4)) & 0xFFFF); }
};

// A mask that is given, drawn or absent, for one thread that looks at LANES elements in a row.
struct Mask {
    bool *keep;    // where it is, or where it is to be written; null: nothing is dropped
    integer draws; // whether it is to be drawn: keep = (lane >= threshold)
    integer threshold;
    word seed, stream, step;
};

// Call visit(i, keep_i) for the elements i of 0 ... n - 1 whose lanes start + i lie in one block of random words,
// a block for each thread; `columns` > 0: a given mask is one row of so many entries for all rows.
template <class Visit>
__device__ void for_each_masked(integer n, integer start, integer columns, Mask mask, Visit visit) {
    integer first_block = start / LANES, blocks = (start + n + LANES - 1) / LANES - first_block;
    for (integer b = first_index(); b < blocks; b += thread_count()) {
        integer i0 = (first_block + b) * LANES - start;
        if (mask.draws) {
            Philox words(mask.seed, mask.stream, mask.step, first_block + b);
            for (int lane = 0; lane < LANES; lane++) {
                integer i = i0 + lane;
                if (i >= 0 && i < n) {
                    bool keep = words.lane(lane) >= mask.threshold;
                    if (mask.keep) mask.keep[i] = keep;
                    visit(i, keep);
                }
            }
        } else {
            for (integer i = i0 < 0 ? 0 : i0; i < i0 + LANES && i < n; i++)
                visit(i, mask.keep ? mask.keep[columns ? i % columns : i] : true);
        }
    }
}

extern "C" __global__ void keep_mask(bool *keep, integer n, integer start, integer threshold, word seed, word stream,
                                     integer step, const Numbers *numbers) {
    keep += replica() * n, seed += replica();
    Mask mask{keep, true, threshold, seed, stream, (word)(numbers ? numbers->step : step)};
    for_each_masked(n, start, 0, mask, [](integer, bool) {});
}

// ---- layers ------------------------------------------------------------------------------------------------------

// z ← scale keep max(z + b, 0), rows x columns; a NaN stays one. The b of replicas are `distance` elements apart.
extern "C" __global__ void bias_relu_dropout(REAL *z, integer rows, integer columns, const REAL *bias,
                                             integer distance, double scale, bool *keep, integer keep_is_row,
                                             integer draws, integer start, integer threshold, word seed, word stream,
                                             integer step, const Numbers *numbers) {
    z += replica() * rows * columns, bias += replica() * distance, seed += replica();
    if (keep) keep += replica() * (keep_is_row ? 1 : rows) * columns;
    Mask mask{keep, draws, threshold, seed, stream, (word)(numbers ? numbers->step : step)};
    REAL c = (REAL)scale;
    for_each_masked(rows * columns, start, keep_is_row ? columns : 0, mask, [=](integer i, bool kept) {
        REAL a = bias ? z[i] + bias[i % columns] : z[i];
        a = a <= 0 ? 0 : a;
        z[i] = a * (REAL)kept * c;
    });
}

// dz = scale dy [y > 0], in dy's place.
extern "C" __global__ void relu_dropout_backward(REAL *dy, const REAL *y, integer n, double scale) {
    for (integer i = first_index(); i < n; i += thread_count()) dy[i] = dy[i] * (REAL)(y[i] > 0) * (REAL)scale;
}

// Row r of the batch is row order[r] of the images, or with a tally row order[batches * batch_size + r], the next:
// x = ((pixel / divisor - mean) / std), with the input dropout of the network if it has one, and its label.
template <class Pixel>
__device__ void gather_rows(const Pixel *images, const integer *labels, const integer *order, integer rows,
                            integer columns, integer batch_size, const Tally *tally, double divisor, double mean,
                            double std, REAL *x, integer *batch_labels, double scale, Mask mask) {
    if (tally) order += (integer)tally->batches * batch_size;
    REAL d = (REAL)divisor, m = (REAL)mean, s = (REAL)std, c = (REAL)scale;
    for_each_masked(rows * columns, 0, 0, mask, [=](integer i, bool kept) {
        x[i] = (((REAL)images[order[i / columns] * columns + i % columns] / d - m) / s) * (REAL)kept * c;
    });
    if (batch_labels)
        for (integer r = first_index(); r < rows; r += thread_count()) batch_labels[r] = labels[order[r]];
}

#define GATHER(NAME, PIXEL)                                                                                          \
    extern "C" __global__ void NAME(const PIXEL *images, const integer *labels, const integer *order, integer rows,  \
                                    integer columns, integer batch_size, const Tally *tally, double divisor,         \
                                    double mean, double std, REAL *x, integer *batch_labels, double scale,           \
                                    bool *keep, integer draws, integer threshold, word seed, word stream,            \
                                    integer step, const Numbers *numbers) {                                          \
        Mask mask{keep, draws, threshold, seed, stream, (word)(numbers ? numbers->step : step)};                     \
        gather_rows(images, labels, order, rows, columns, batch_size, tally, divisor, mean, std, x, batch_labels,    \
                    scale, mask);                                                                                    \
    }
GATHER(gather_bytes, unsigned char)
GATHER(gather_reals, REAL)

// ---- sums over a warp, a block, a column -------------------------------------------------------------------------

const int WARP = 32;

__device__ __forceinline__ REAL warp_sum(REAL value) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    return value;
}

__device__ __forceinline__ REAL warp_max(REAL value) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        REAL other = __shfl_xor_sync(0xFFFFFFFFu, value, offset);
        value = other > value || other != other ? other : value; // a NaN wins
    }
    return value;
}

// The sum over all threads of a block of whole warps, for each of them; at most WARP warps.
__device__ REAL block_sum(REAL value) {
    __shared__ REAL of_warp[WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    value = warp_sum(value);
    __syncthreads(); // of_warp may still be read from the call before
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    return warp_sum(lane < (int)(blockDim.x / WARP) ? of_warp[lane] : 0);
}

// db = Σ_batch dz: a block adds WARP columns, each of its warps every so many rows of them. The sums of replicas are
// `distance` elements apart.
extern "C" __global__ void column_sums(const REAL *matrix, integer rows, integer columns, REAL *sums,
                                       integer distance) {
    matrix += replica() * rows * columns, sums += replica() * distance;
    __shared__ REAL of_warp[WARP][WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    integer column = (integer)blockIdx.x * WARP + lane;
    REAL sum = 0;
    if (column < columns)
        for (integer row = warp; row < rows; row += warps) sum += matrix[row * columns + column];
    of_warp[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < columns) {
        for (int other = 1; other < warps; other++) sum += of_warp[other][lane];
        sums[column] = sum;
    }
}

// out = scale Σ values, by one block.
extern "C" __global__ void scaled_sum(const REAL *values, integer n, double scale, REAL *out) {
    values += replica() * n;
    REAL sum = 0;
    for (integer i = threadIdx.x; i < n; i += blockDim.x) sum += values[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[replica()] = (REAL)scale * sum;
}

// In double, so that the sum is that of the losses on the host.
extern "C" __global__ void count_batch(Tally *tally, const REAL *loss, integer examples) {
    if (threadIdx.x != 0) return;
    tally += replica(), loss += replica();
    tally->batches += 1;
    tally->loss_sum += (double)*loss * (double)examples;
}

// ---- the loss: a warp for each row -------------------------------------------------------------------------------

// With z = logits - max and s = Σ e^z:  loss_i = log s - z[label]   gradient = scale (e^z / s - onehot(label))
extern "C" __global__ void softmax_cross_entropy(const REAL *logits, const integer *labels, integer rows,
                                                 integer classes, double scale, REAL *gradient, REAL *losses) {
    integer row = first_index() / WARP;
    int lane = threadIdx.x % WARP;
    if (row >= rows) return; // all lanes of the warp together
    logits += row * classes, gradient += row * classes;
    integer label = labels[row];
    bool known = label >= 0 && label < classes;

    REAL largest = logits[lane < classes ? lane : 0];
    for (integer j = lane; j < classes; j += WARP) {
        REAL z = logits[j];
        largest = z > largest || z != z ? z : largest;
    }
    largest = warp_max(largest);

    REAL s = 0;
    for (integer j = lane; j < classes; j += WARP) s += exp(logits[j] - largest);
    s = warp_sum(s);

    for (integer j = lane; j < classes; j += WARP)
        gradient[j] = (REAL)scale * (exp(logits[j] - largest) / s - (REAL)(j == label));
    if (lane == 0) losses[row] = known ? log(s) - (logits[label] - largest) : (REAL)nan(""); // not what is nowhere
}

// ---- updates: minidrop/optim -------------------------------------------------------------------------------------

// Each rule is the formula of the class of its name. `prepare`, once a block and in double, takes from `Numbers`
// and from the class's constants k what all elements share; `apply` changes one weight w and its slots, given its
// gradient g. t counts from 1: the update under way is already counted.

struct Constants {
    double a, b, c, d;
};

__device__ __forceinline__ double correction(double beta, const Numbers &now) {
    return 1 - pow(beta, (double)now.step); // 1 - βᵗ
}

struct SGD {
    static const int slots = 0;
    REAL lr;
    __device__ void prepare(const Numbers &, double eta, Constants) { lr = (REAL)eta; }
    __device__ void apply(REAL &w, REAL g, REAL *) const { w -= lr * g; }
};

struct Momentum { // a: form, 0 torch, 1 classical, 2 ema, 3 hinton; b: dampening; c: whether Nesterov's
    static const int slots = 1;
    REAL decay, factor, step, ahead; // v ← decay v + factor g, w ← w + step v + ahead g
    bool moves;                      // whether there is a momentum; torch without one leaves v as it is
    __device__ void prepare(const Numbers &now, double eta, Constants k) {
        double mu = now.momentum, f = 1, s = -eta, h = 0;
        moves = mu != 0 || k.a != 0;
        if (!moves) h = -eta;
        else if (k.a == 1) f = eta, s = -1;
        else if (k.a == 2) f = 1 - mu;
        else if (k.a == 3) f = -(1 - mu) * eta, s = 1;
        else if (k.c != 0) s = -eta * mu, h = -eta;
        else if (now.velocity_steps != 1) f = 1 - k.b;
        decay = (REAL)mu, factor = (REAL)f, step = (REAL)s, ahead = (REAL)h;
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        if (moves) {
            slot[0] = decay * slot[0] + factor * g;
            w += step * slot[0];
        }
        w += ahead * g;
    }
};

struct Moments { // what Adam and its relatives share; a: β₁, b: β₂, c: ε
    static const int slots = 2;
    REAL beta1, beta2, rest1, rest2, eps, step;
    __device__ void prepare_moments(Constants k) {
        beta1 = (REAL)k.a, beta2 = (REAL)k.b, rest1 = (REAL)(1 - k.a), rest2 = (REAL)(1 - k.b), eps = (REAL)k.c;
    }
    __device__ void average(REAL g, REAL *slot) const {
        slot[0] = beta1 * slot[0] + rest1 * g;
        slot[1] = beta2 * slot[1] + rest2 * (g * g);
    }
};

struct Adam : Moments { // d: whether the second moment is corrected
    __device__ void prepare(const Numbers &now, double eta, Constants k) {
        double c = k.d != 0 ? sqrt(correction(k.b, now)) : 1;
        prepare_moments(k);
        eps = (REAL)(k.c * c); // √v̂ + ε = (√v + ε c) / c
        step = (REAL)(eta * c / correction(k.a, now));
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        average(g, slot);
        w -= step * (slot[0] / (sqrt(slot[1]) + eps));
    }
};

struct NAdam : Moments { // d: ψ
    REAL of_gradient, of_moment, corrected;
    __device__ void prepare(const Numbers &now, double eta, Constants k) {
        double t = (double)now.step, product = now.momentum_product;
        double mu = k.a * (1 - 0.5 * pow(0.96, t * k.d)), next = k.a * (1 - 0.5 * pow(0.96, (t + 1) * k.d));
        prepare_moments(k);
        of_gradient = (REAL)(eta * (1 - mu) / (1 - product)), of_moment = (REAL)(eta * next / (1 - product * next));
        corrected = (REAL)correction(k.b, now);
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        average(g, slot);
        w -= (of_gradient * g + of_moment * slot[0]) / (sqrt(slot[1] / corrected) + eps);
    }
};

struct Adamax : Moments {
    __device__ void prepare(const Numbers &now, double eta, Constants k) {
        prepare_moments(k);
        step = (REAL)(eta / correction(k.a, now));
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        REAL norm = beta2 * slot[1], size = fabs(g) + eps;
        slot[0] = beta1 * slot[0] + rest1 * g;
        slot[1] = norm > size || norm != norm ? norm : size; // a NaN stays one
        w -= step * (slot[0] / slot[1]);
    }
};

struct RMSprop { // a: α, b: ε, c: whether centered; slots: squares, velocity, mean
    static const int slots = 3;
    REAL alpha, rest, eps, momentum, lr;
    bool centered;
    __device__ void prepare(const Numbers &now, double eta, Constants k) {
        alpha = (REAL)k.a, rest = (REAL)(1 - k.a), eps = (REAL)k.b;
        centered = k.c != 0, momentum = (REAL)now.momentum, lr = (REAL)eta;
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        slot[0] = alpha * slot[0] + rest * (g * g);
        REAL variance = slot[0];
        if (centered) {
            slot[2] = alpha * slot[2] + rest * g;
            variance -= slot[2] * slot[2];
            variance = variance < 0 ? 0 : variance; // rounding can leave it just below zero
        }
        slot[1] = momentum * slot[1] + g / (sqrt(variance) + eps);
        w -= lr * slot[1];
    }
};

struct Adagrad { // a: ε, b: d
    static const int slots = 1;
    REAL eps, step;
    __device__ void prepare(const Numbers &now, double eta, Constants k) {
        eps = (REAL)k.a, step = (REAL)(eta / (1 + (double)(now.step - 1) * k.b));
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        slot[0] += g * g;
        w -= step * (g / (sqrt(slot[0]) + eps));
    }
};

struct Adadelta { // a: ρ, b: ε; slots: squares, squared steps
    static const int slots = 2;
    REAL rho, rest, eps, lr;
    __device__ void prepare(const Numbers &, double eta, Constants k) {
        rho = (REAL)k.a, rest = (REAL)(1 - k.a), eps = (REAL)k.b, lr = (REAL)eta;
    }
    __device__ void apply(REAL &w, REAL g, REAL *slot) const {
        slot[0] = rho * slot[0] + rest * (g * g);
        REAL delta = sqrt(slot[1] + eps) / sqrt(slot[0] + eps) * g;
        slot[1] = rho * slot[1] + rest * (delta * delta);
        w -= lr * delta;
    }
};

// What is left of a rule that is linear in the gradient once a matrix product has added that to v, or to w itself.
template <class Rule> __device__ void follow(const Rule &, REAL &, const REAL *, integer) {}
__device__ __forceinline__ void follow(const Momentum &rule, REAL &w, const REAL *v, integer i) {
    w += rule.step * v[i];
}

// v ← β v + α g: what that product needs to know.
#define COEFFICIENTS(NAME, RULE, ALPHA, BETA)                                                                        \
    extern "C" __global__ void NAME(const Numbers *numbers, double lr_scale, double a, double b, double c, double d, \
                                    REAL *alpha_beta) {                                                              \
        if (threadIdx.x != 0) return;                                                                                \
        RULE rule;                                                                                                   \
        rule.prepare(*numbers, numbers->lr * lr_scale, Constants{a, b, c, d});                                       \
        alpha_beta[0] = ALPHA, alpha_beta[1] = BETA;                                                                 \
    }
COEFFICIENTS(coefficients_sgd, SGD, -rule.lr, 1)
COEFFICIENTS(coefficients_momentum, Momentum, rule.factor, rule.decay)

// A rule with its learning rate, with weight decay λ (g ← g + λ w, or w ← (1 - η λ) w where it is decoupled), and
// with the memory that it works on.
template <class Rule> struct Update {
    Rule rule;
    REAL decay, shrink;

    __device__ void prepare(const Numbers *numbers, double lr_scale, double weight_decay, integer decoupled,
                            Constants k) {
        double lr = numbers->lr * lr_scale;
        rule.prepare(*numbers, lr, k);
        decay = decoupled ? 0 : (REAL)weight_decay;
        shrink = decoupled ? (REAL)(1 - lr * weight_decay) : 1;
    }

    __device__ REAL apply(REAL *weights, const REAL *gradients, REAL *slot0, REAL *slot1, REAL *slot2,
                          integer i) const {
        REAL w = weights[i] * shrink, slot[3];
        if (!gradients) {
            follow(rule, w, slot0, i);
            return weights[i] = w;
        }
        if (Rule::slots > 0) slot[0] = slot0[i];
        if (Rule::slots > 1) slot[1] = slot1[i];
        if (Rule::slots > 2 && slot2) slot[2] = slot2[i];
        rule.apply(w, gradients[i] + decay * w, slot);
        if (Rule::slots > 0) slot0[i] = slot[0];
        if (Rule::slots > 1) slot1[i] = slot[1];
        if (Rule::slots > 2 && slot2) slot2[i] = slot[2];
        weights[i] = w;
        return w;
    }
};

// Two kernels for each rule. The first updates n weights in a row. The second updates a matrix, a block for each
// row, and then projects it: W_i ← W_i c / max(c, |W_i|) with c = limit, which leaves rows within it as they are.
// Without gradients they do what is left, see `follow`. The weights of replicas, and their gradients and slots, are
// `distance` elements apart.
#define UPDATE(NAME, RULE)                                                                                           \
    extern "C" __global__ void NAME(REAL *w, const REAL *g, REAL *slot0, REAL *slot1, REAL *slot2, integer n,        \
                                    integer distance, const Numbers *numbers, double lr_scale, double weight_decay,  \
                                    integer decoupled, double a, double b, double c, double d) {                     \
        __shared__ Update<RULE> update;                                                                              \
        if (threadIdx.x == 0) update.prepare(numbers, lr_scale, weight_decay, decoupled, Constants{a, b, c, d});     \
        __syncthreads();                                                                                             \
        for (integer i = first_index(); i < n; i += thread_count())                                                  \
            update.apply(w, g, slot0, slot1, slot2, replica() * distance + i);                                       \
    }                                                                                                                \
    extern "C" __global__ void NAME##_rows(REAL *w, const REAL *g, REAL *slot0, REAL *slot1, REAL *slot2,            \
                                           integer columns, integer distance, double limit, const Numbers *numbers,  \
                                           double lr_scale, double weight_decay, integer decoupled, double a,        \
                                           double b, double c, double d) {                                           \
        __shared__ Update<RULE> update;                                                                              \
        if (threadIdx.x == 0) update.prepare(numbers, lr_scale, weight_decay, decoupled, Constants{a, b, c, d});     \
        __syncthreads();                                                                                             \
        integer row = replica() * distance + blockIdx.x * columns;                                                   \
        REAL squares = 0;                                                                                            \
        for (integer j = threadIdx.x; j < columns; j += blockDim.x) {                                                \
            REAL now = update.apply(w, g, slot0, slot1, slot2, row + j);                                             \
            squares += now * now;                                                                                    \
        }                                                                                                            \
        project_row(w + row, columns, sqrt(block_sum(squares)), (REAL)limit);                                        \
    }

// W_i ← W_i c / max(c, |W_i|), by a block whose threads each know |W_i|, and change what they wrote themselves.
__device__ void project_row(REAL *row, integer columns, REAL length, REAL limit) {
    if (length <= limit) return;
    REAL factor = limit / length;
    for (integer j = threadIdx.x; j < columns; j += blockDim.x) row[j] *= factor;
}

UPDATE(update_sgd, SGD)
UPDATE(update_momentum, Momentum)
UPDATE(update_adam, Adam)
UPDATE(update_nadam, NAdam)
UPDATE(update_adamax, Adamax)
UPDATE(update_rmsprop, RMSprop)
UPDATE(update_adagrad, Adagrad)
UPDATE(update_adadelta, Adadelta)

// The projection alone, and the squared lengths |W_i|² that it looks at, each with a block for each row.
extern "C" __global__ void limit_row_norms(REAL *matrix, integer columns, double limit) {
    REAL *row = matrix + (integer)blockIdx.x * columns, squares = 0;
    for (integer j = threadIdx.x; j < columns; j += blockDim.x) squares += row[j] * row[j];
    project_row(row, columns, sqrt(block_sum(squares)), (REAL)limit);
}

extern "C" __global__ void squared_row_norms(const REAL *matrix, integer columns, REAL *squared) {
    const REAL *row = matrix + (integer)blockIdx.x * columns;
    REAL squares = 0;
    for (integer j = threadIdx.x; j < columns; j += blockDim.x) squares += row[j] * row[j];
    squares = block_sum(squares);
    if (threadIdx.x == 0) squared[blockIdx.x] = squares;
}
