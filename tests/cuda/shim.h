// Enough of CUDA's language for g++ to compile a file of kernels: its words, types and functions.
#pragma once

#include "engine.h"

#include <bit>
#include <math.h>
#include <type_traits>
#include <utility>

// -- words, after the includes because the standard library has uses of its own for some of them ------------

#define __global__ inline  // one that nobody asks for costs no time
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static thread_local  // blocks run one after another, so one for all of them will do
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)


// -- vectors ------------------------------------------------------------------------------------------------

#define SHIM_VECTORS(type, name)                                              \
    struct alignas(2 * sizeof(type)) name##2 { type x, y; };                  \
    struct alignas(16) name##4 { type x, y, z, w; };                          \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }          \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
SHIM_VECTORS(float, float)
SHIM_VECTORS(double, double)
SHIM_VECTORS(int, int)
SHIM_VECTORS(unsigned, uint)
#undef SHIM_VECTORS

struct alignas(4) uchar4 {
    unsigned char x, y, z, w;
};
struct alignas(8) ushort4 {
    unsigned short x, y, z, w;
};

// -- arithmetic; math.h brings exp, log, sqrt, fabs, fmax, ... for float and double -------------------------

inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrtf(float x) { return rsqrt(x); }

// Of two numbers one of which is NaN, the other. As with nvcc, an int and a long long have no maximum.
#define SHIM_EXTREMES(type)                                                                  \
    inline type max(type a, type b) { return a < b || a != a ? b : a; }                      \
    inline type min(type a, type b) { return b < a || a != a ? b : a; }
SHIM_EXTREMES(float)
SHIM_EXTREMES(double)
SHIM_EXTREMES(int)
SHIM_EXTREMES(unsigned)
SHIM_EXTREMES(long)
SHIM_EXTREMES(unsigned long)
SHIM_EXTREMES(long long)
SHIM_EXTREMES(unsigned long long)
#undef SHIM_EXTREMES

inline unsigned __umulhi(unsigned a, unsigned b) { return (std::uint64_t(a) * b) >> 32; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned __int128>(a) * b >> 64;
}

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }

template <class T>
T __ldg(const T* address) {
    return *address;
}

// -- threads that meet, which they must do at one place: in the line that calls ------------------------------

#define SHIM_LINE __builtin_LINE()

inline void __syncthreads(int line = SHIM_LINE) { shim::wait_for_block(line); }

inline void __syncwarp(unsigned mask = 0xffffffff, int line = SHIM_LINE) {
    shim::wait_for_warp("__syncwarp", line, mask, shim::current % warpSize, 0);
}

namespace shim {

template <class T>
T shuffle(const char* what, int line, unsigned mask, unsigned source, T value) {
    static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "4 or 8 bytes are shuffled");
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = wait_for_warp(what, line, mask, source, bits);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace shim

// A lane whose source would be outside its group of `width` lanes keeps its own value.

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, int line = SHIM_LINE) {
    unsigned lane = shim::current % warpSize, group = lane & ~(width - 1);
    return shim::shuffle("__shfl_sync", line, mask, group + (source & (width - 1)), value);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, int line = SHIM_LINE) {
    unsigned lane = shim::current % warpSize, group = lane & ~(width - 1);
    return shim::shuffle("__shfl_up_sync", line, mask, lane >= group + delta ? lane - delta : lane, value);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, int line = SHIM_LINE) {
    unsigned lane = shim::current % warpSize, end = (lane & ~(width - 1)) + width;
    return shim::shuffle("__shfl_down_sync", line, mask, lane + delta < end ? lane + delta : lane, value);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize, int line = SHIM_LINE) {
    unsigned lane = shim::current % warpSize, end = (lane & ~(width - 1)) + width;
    return shim::shuffle("__shfl_xor_sync", line, mask, (lane ^ bits) < end ? lane ^ bits : lane, value);
}

// -- memory that threads share: a thread is never interrupted, so nothing needs care ------------------------

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
    T before = *address;
    *address += value;
    return before;
}

template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
    T before = *address;
    *address = max(before, value);
    return before;
}

inline void __threadfence() {}
inline void __threadfence_block() {}

// -- kernels from outside -----------------------------------------------------------------------------------

namespace shim {

// Write a parameter's type in NumPy's codes, with a star for a pointer: "f4", "i8", "b1", "*f4"; "V" for a struct.
template <class T>
char* write_code(char* to) {
    using U = std::remove_cv_t<T>;
    if constexpr (std::is_pointer_v<U>) {
        *to = '*';
        return write_code<std::remove_pointer_t<U>>(to + 1);
    } else if constexpr (std::is_arithmetic_v<U>) {
        to[0] = std::is_same_v<U, bool> ? 'b' : std::is_floating_point_v<U> ? 'f' : std::is_signed_v<U> ? 'i' : 'u';
        to[1] = '0' + sizeof(U);
        return to + 2;
    } else {
        *to = 'V';
        return to + 1;
    }
}

template <auto kernel>
struct Entry;

template <class... P, void (*kernel)(P...)>
struct Entry<kernel> {
    static void run(void** values) { call(values, std::index_sequence_for<P...>{}); }

    template <std::size_t... i>
    static void call([[maybe_unused]] void** values, std::index_sequence<i...>) {
        kernel(*static_cast<P*>(values[i])...);
    }

    static const char* signature() {
        static char all[sizeof...(P) * 4 + 1];  // a star, two characters and a space for each
        [[maybe_unused]] char* end = all;
        ((end = write_code<P>(end), *end++ = ' '), ...);
        return all;
    }
};

struct Kernel {
    const char* name;
    void (*run)(void**);
    const char* signature;  // the types of its parameters
};

// Run a kernel; false if that failed, and why in `message`.
inline bool launch(const Kernel& kernel, const unsigned* grid, const unsigned* block, void** values,
                   long long in_order, char* message, std::size_t size) {
    pthread_mutex_lock(&one_launch);
    kernel_name = kernel.name, entry = kernel.run, arguments = values;
    order = in_order, random_state = in_order, error = message, error_size = size;
    gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
    threads.resize(block[0] * block[1] * block[2]);
    for (unsigned t = 0; t < threads.size(); t++)
        threads[t].index = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};

    std::vector<unsigned> blocks(grid[0] * grid[1] * grid[2]);
    for (unsigned b = 0; b < blocks.size(); b++)
        blocks[b] = order == reverse ? blocks.size() - 1 - b : b;
    for (unsigned b = blocks.size(); order >= 0 && b > 1; b--)
        std::swap(blocks[b - 1], blocks[random_number() % b]);
    bool good = true;
    for (unsigned b = 0; b < blocks.size() && good; b++) {
        blockIdx = {blocks[b] % grid[0], blocks[b] / grid[0] % grid[1], blocks[b] / grid[0] / grid[1]};
        good = run_block();
    }
    pthread_mutex_unlock(&one_launch);
    return good;
}

}  // namespace shim

// -- what g++ has here, but not NVRTC -----------------------------------------------------------------------

#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef HUGE_VALF
#undef M_PI
#define std nvrtc_has_no_namespace_std
