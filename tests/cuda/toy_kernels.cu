// Small kernels for the tests of the shim and of the stand-in for CuPy; some are wrong on purpose.

#ifndef REAL
#define REAL float
#endif
#define KERNEL(name) extern "C" __global__ void name

__device__ __forceinline__ int element() { return blockIdx.x * blockDim.x + threadIdx.x; }

KERNEL(scale)(REAL* __restrict__ x, const REAL factor, int n) {
    int i = element();
    if (i < n)
        x[i] *= factor;
}

KERNEL(add_rows)(const REAL* a, const REAL* b, REAL* out, long long n, bool subtract) {
    for (long long i = element(); i < n; i += blockDim.x * gridDim.x)
        out[i] = subtract ? a[i] - b[i] : a[i] + b[i];
}

KERNEL(indices)(int* out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    out[y * blockDim.x * gridDim.x + x] = 100 * y + x;
}

// The place in the order of execution of each thread.
KERNEL(places)(unsigned* out, unsigned* counter) { out[element()] = atomicAdd(counter, 1); }

// -- shared memory ------------------------------------------------------------------------------------------

// Reverses each block; without the barrier it reads what may not be written yet.
template <class T>
__device__ void reverse_block(T* x, bool with_barrier) {
    __shared__ T copy[256];
    copy[threadIdx.x] = x[element()];
    if (with_barrier)
        __syncthreads();
    x[element()] = copy[blockDim.x - 1 - threadIdx.x];
}

KERNEL(reverse_right)(REAL* x) { reverse_block(x, true); }
KERNEL(reverse_wrong)(REAL* x) { reverse_block(x, false); }

// Counts its threads up in shared memory that nobody has set to 0.
KERNEL(uninitialised)(REAL* out) {
    __shared__ REAL count;
    count += 1;
    __syncthreads();
    out[element()] = count;
}

// The sum of each row, by one block a row.
struct Sum {
    __device__ REAL operator()(REAL a, REAL b) const { return a + b; }
};

template <class F>
__device__ __forceinline__ REAL over_warp(F f, REAL value) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2)
        value = f(value, __shfl_xor_sync(0xffffffff, value, lanes));
    return value;
}

extern "C" __global__ void __launch_bounds__(256, 2) row_sums(const REAL* x, REAL* sums, int columns) {
    __shared__ REAL of_warp[32];
    REAL sum = 0;
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        sum += x[blockIdx.x * columns + j];
    sum = over_warp(Sum(), sum);
    if (threadIdx.x % 32 == 0)
        of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32)
        return;
    sum = over_warp(Sum(), threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : 0);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

// -- shuffles -----------------------------------------------------------------------------------------------

template <class T>
__device__ void shuffles(const T* x, T* out) {
    T value = x[threadIdx.x];
    int n = blockDim.x, width = 8;
    out[0 * n + threadIdx.x] = __shfl_sync(0xffffffff, value, 5);
    out[1 * n + threadIdx.x] = __shfl_sync(0xffffffff, value, 5, width);
    out[2 * n + threadIdx.x] = __shfl_up_sync(0xffffffff, value, 3, width);
    out[3 * n + threadIdx.x] = __shfl_down_sync(0xffffffff, value, 3);
    out[4 * n + threadIdx.x] = __shfl_down_sync(0xffffffff, value, 3, width);
    out[5 * n + threadIdx.x] = __shfl_xor_sync(0xffffffff, value, 17);
}

KERNEL(shuffles_of_reals)(const REAL* x, REAL* out) { shuffles(x, out); }
KERNEL(shuffles_of_words)(const unsigned long long* x, unsigned long long* out) { shuffles(x, out); }

// Each half of a warp passes values round on its own.
KERNEL(half_warps)(int* x) {
    unsigned half = threadIdx.x & 16, mask = 0xffff << half;
    x[threadIdx.x] = __shfl_sync(mask, x[threadIdx.x], half + (threadIdx.x + 1) % 16);
    __syncwarp();
}

// -- what no GPU defines ------------------------------------------------------------------------------------

KERNEL(barrier_for_some)(REAL* x) {
    if (threadIdx.x < 3)
        __syncthreads();
}

KERNEL(two_barriers)(REAL* x) {
    if (threadIdx.x < 3)
        __syncthreads();
    else
        __syncthreads();
}

KERNEL(shuffle_without_one)(REAL* x) {
    if (threadIdx.x != 5)
        x[threadIdx.x] = __shfl_down_sync(0xffffffff, x[threadIdx.x], 1);
}

KERNEL(two_shuffles)(REAL* x) {
    if (threadIdx.x < 16)
        x[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 1);
    else
        x[threadIdx.x] = __shfl_down_sync(0xffffffff, x[threadIdx.x], 1);
}

KERNEL(shuffle_from_outside)(REAL* x) {
    if (threadIdx.x < 16)
        x[threadIdx.x] = __shfl_down_sync(0x0000ffff, x[threadIdx.x], 1);
}

KERNEL(write_beyond)(REAL* x, int n) { x[element() <= n ? n : 0] = 1; }
KERNEL(write_before)(REAL* x) { x[-1] = 1; }

// -- arithmetic ---------------------------------------------------------------------------------------------

KERNEL(high_words)(const unsigned long long* a, const unsigned long long* b, unsigned long long* out) {
    out[threadIdx.x] = __umul64hi(a[threadIdx.x], b[threadIdx.x]);
}

KERNEL(arithmetic)(const REAL* x, REAL* out) {
    REAL v = x[0], infinity = 1 / (v - v), nan = infinity - infinity;
    out[0] = rsqrt(v);
    out[1] = exp(v);
    out[2] = log(v);
    out[3] = max(v, nan);
    out[4] = min(nan, -infinity);
    out[5] = fmax(fabs(-v), (REAL)1);
    out[6] = pow(v, (REAL)3);
    out[7] = max(3, 7) + min(2u, 9u);
    out[8] = max(nan, v);
}

// -- parameters ---------------------------------------------------------------------------------------------

KERNEL(parameters)(REAL* a, const unsigned short* b, const unsigned char* c, bool* d, void* e, REAL f, double g,
                   int h, unsigned long long i, bool j) {
    a[0] = f + g + h + i + j + (e == nullptr);
}
