// Runs the blocks of a CUDA grid one after another on one thread of the operating system.
//
// A CUDA thread runs until it ends or has to wait: at __syncthreads for its block, at a shuffle or __syncwarp
// for its warp. Each one that waits keeps a stack of its own, a fiber; a switch is a _setjmp and a _longjmp,
// tens of nanoseconds without a system call. A fiber whose thread ended goes on with the next thread, so that
// a kernel in which nobody waits runs in a single fiber, as a loop over its threads.
//
// Which of the threads that can run goes next is a parameter. On a GPU it is undefined, so a kernel whose
// result depends on it is wrong.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <pthread.h>
#include <ucontext.h>
#include <vector>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

namespace shim {

constexpr std::size_t stack_size = 64 * 1024;
constexpr long long forward = -1, reverse = -2;  // what an order is; from 0 on it is the seed of a random one

struct Fiber {
    jmp_buf place;  // where it goes on
    ucontext_t context;
    bool started = false;
    char* stack = new char[stack_size];

    ~Fiber() { delete[] stack; }
};

// What a lane brings to a shuffle, and what it takes away.
struct Exchange {
    const char* what;
    int line;
    unsigned mask, source;
    std::uint64_t value;
};

struct Thread {
    enum State { running, at_barrier, at_warp, ended };
    uint3 index;
    Fiber* fiber = nullptr;  // none before it starts
    State state = running;
    Exchange exchange{};
};

static void (*entry)(void**);  // the kernel, and the addresses of its arguments
static void** arguments;
static const char* kernel_name;
static long long order;
static std::uint64_t random_state;

static std::vector<Thread> threads;
static std::vector<unsigned> ready;      // the threads that can run, the next one last or, at random, anywhere
static std::vector<unsigned> warp_came;  // for each warp, the lanes that wait in a shuffle
static unsigned current, ended, at_barrier;
static int barrier_line;

static std::vector<Fiber*> fibers;
static std::vector<Fiber*> idle;
static jmp_buf outside;  // of all fibers
static char* error;      // where to say what went wrong
static std::size_t error_size;
static pthread_mutex_t one_launch = PTHREAD_MUTEX_INITIALIZER;  // all of the above is that launch's

inline std::uint64_t random_number() {  // splitmix64
    std::uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

[[noreturn]] inline void fail(const char* format, ...) {
    int n = std::snprintf(error, error_size, "%s, block (%u, %u, %u): ", kernel_name, blockIdx.x, blockIdx.y,
                          blockIdx.z);
    va_list values;
    va_start(values, format);
    std::vsnprintf(error + n, error_size - n, format, values);
    va_end(values);
    _longjmp(outside, 1);
}

// Nobody can run, and not all have ended: somebody waits for a thread that will not come.
[[noreturn]] inline void fail_stuck() {
    for (unsigned t = 0; t < threads.size(); t++) {
        const Thread& one = threads[t];
        if (one.state != Thread::at_warp)
            continue;
        unsigned missing = one.exchange.mask & ~warp_came[t / warpSize];
        fail("thread (%u, %u, %u) waits in %s, line %d, for lanes 0x%08x of its warp, which returned, wait "
             "elsewhere or do not exist",
             one.index.x, one.index.y, one.index.z, one.exchange.what, one.exchange.line, missing);
    }
    fail("%u of %zu threads wait at __syncthreads, line %d, but the others have returned", at_barrier,
         threads.size(), barrier_line);
}

// Let the threads first ... first + 31 of `lanes` run again.
inline void release(unsigned first, unsigned lanes) {
    for (unsigned i = 0; i < warpSize; i++) {
        unsigned lane = order == reverse ? i : warpSize - 1 - i;
        if (lanes >> lane & 1) {
            threads[first + lane].state = Thread::running;
            ready.push_back(first + lane);
        }
    }
}

inline unsigned lanes_of(unsigned first) {  // all that exist of the warp that begins with `first`
    unsigned n = threads.size() - first;
    return n >= warpSize ? ~0u : (1u << n) - 1;
}

inline void release_all() {
    unsigned warps = (threads.size() + warpSize - 1) / warpSize;
    for (unsigned i = 0; i < warps; i++) {
        unsigned first = warpSize * (order == reverse ? i : warps - 1 - i);
        release(first, lanes_of(first));
    }
}

// The thread that runs next, made the current one; false if all have ended.
inline bool take_next() {
    if (ready.empty()) {
        if (ended == threads.size())
            return false;
        fail_stuck();
    }
    if (order >= 0)
        std::swap(ready[random_number() % ready.size()], ready.back());
    current = ready.back();
    ready.pop_back();
    threadIdx = threads[current].index;
    return true;
}

// What a fiber does: run threads that have not started, until one that waited is next.
static void run_threads() {
    Fiber* self = threads[current].fiber;
    for (;;) {
        entry(arguments);
        threads[current].state = Thread::ended;
        ended++;
        bool more = take_next();
        if (!more || threads[current].fiber) {
            idle.push_back(self);
            if (_setjmp(self->place) == 0)
                _longjmp(more ? threads[current].fiber->place : outside, 1);
        }
        threads[current].fiber = self;
    }
}

[[noreturn]] inline void run_current() {
    Fiber*& fiber = threads[current].fiber;
    if (!fiber) {
        if (idle.empty()) {
            fibers.push_back(new Fiber);
            idle.push_back(fibers.back());
        }
        fiber = idle.back();
        idle.pop_back();
    }
    if (!fiber->started) {
        fiber->started = true;
        getcontext(&fiber->context);
        fiber->context.uc_stack.ss_sp = fiber->stack;
        fiber->context.uc_stack.ss_size = stack_size;
        makecontext(&fiber->context, run_threads, 0);
        setcontext(&fiber->context);
    }
    _longjmp(fiber->place, 1);
}

[[gnu::noinline]] inline void wait() {
    Fiber* self = threads[current].fiber;
    if (_setjmp(self->place) == 0) {
        take_next();
        run_current();
    }
}

inline void wait_for_block(int line) {
    if (at_barrier > 0 && barrier_line != line)
        fail("thread (%u, %u, %u) waits at __syncthreads, line %d, while others wait at the one of line %d",
             threadIdx.x, threadIdx.y, threadIdx.z, line, barrier_line);
    barrier_line = line;
    threads[current].state = Thread::at_barrier;
    if (++at_barrier == threads.size()) {
        at_barrier = 0;
        release_all();
    }
    wait();
}

// Bring `value` to the lanes of `mask`; what lane `source` brought when all are there.
inline std::uint64_t wait_for_warp(const char* what, int line, unsigned mask, unsigned source,
                                   std::uint64_t value) {
    unsigned lane = current % warpSize, first = current - lane;
    if (!(mask >> lane & 1) || !(mask >> source & 1))
        fail("thread (%u, %u, %u), %s, line %d: lane %u reads lane %u, and mask 0x%08x does not name both",
             threadIdx.x, threadIdx.y, threadIdx.z, what, line, lane, source, mask);
    Thread& me = threads[current];
    me.exchange = {what, line, mask, source, value};
    me.state = Thread::at_warp;
    unsigned& came = warp_came[current / warpSize];
    came |= 1u << lane;
    if ((came & mask) == mask) {
        came &= ~mask;
        std::uint64_t brought[warpSize];
        for (unsigned i = 0; i < warpSize; i++) {
            if (!(mask >> i & 1))
                continue;
            const Exchange& other = threads[first + i].exchange;
            if (other.mask != mask || other.line != line || other.what != what)
                fail("lanes %u and %u of a warp meet in different calls: %s, line %d, mask 0x%08x and %s, "
                     "line %d, mask 0x%08x",
                     lane, i, what, line, mask, other.what, other.line, other.mask);
            brought[i] = other.value;
        }
        for (unsigned i = 0; i < warpSize; i++)
            if (mask >> i & 1)
                threads[first + i].exchange.value = brought[threads[first + i].exchange.source];
        release(first, mask);
    }
    wait();
    return threads[current].exchange.value;
}

// Shared memory is thread_local: fill what this library has of that for this thread with NaNs, since what a
// block finds there on a GPU is what others left.
static thread_local char anchor;

inline void spoil_shared_memory() {
    anchor = 1;  // has the memory allocated
    dl_iterate_phdr(
        [](dl_phdr_info* library, std::size_t, void*) {
            auto* memory = static_cast<char*>(library->dlpi_tls_data);
            for (int i = 0; memory && i < library->dlpi_phnum; i++) {
                std::size_t size = library->dlpi_phdr[i].p_memsz;
                if (library->dlpi_phdr[i].p_type == PT_TLS && &anchor >= memory && &anchor < memory + size) {
                    std::memset(memory, 0xff, size);
                    return 1;
                }
            }
            return 0;
        },
        nullptr);
}

// Run the block whose blockIdx is set; false if that failed.
inline bool run_block() {
    spoil_shared_memory();
    ready.clear();
    warp_came.assign((threads.size() + warpSize - 1) / warpSize, 0);
    ended = at_barrier = 0;
    for (Thread& thread : threads)
        thread.fiber = nullptr;
    release_all();
    error[0] = 0;
    if (_setjmp(outside) == 0) {
        take_next();
        run_current();
    }
    if (error[0] == 0)
        return true;
    for (Fiber* fiber : fibers)
        delete fiber;  // whatever it was doing
    fibers.clear();
    idle.clear();
    return false;
}

}  // namespace shim
