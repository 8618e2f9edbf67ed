// What tch has no binding for: which CUDA device and stream are current, how exactly cuDNN multiplies, recorded operations,
// and three operators.
// Only the device-independent interface is used, so this compiles against libtorch's CPU half; the CUDA half registers itself when it is loaded.
// Exceptions end here: 0 is success, 1 is not.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include <ATen/Context.h>
#include <ATen/Tensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_fused_sgd.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {
c10::Device cuda(int device) {
    return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
}

// at::cuda::CUDAGraph, by the names that libtorch_cuda.so gives its functions: its header wants CUDA's own, which the
// CPU half comes without. It does what cannot be done from outside: memory of a recording is nobody else's until the
// recording is gone, whatever else is allocated, freed or given back to the device meanwhile.
struct Recorder {
    using Pool = std::pair<unsigned long long, unsigned long long>;
    void (*construct)(void *self, bool keep);
    void (*destroy)(void *self);
    void (*begin)(void *self, Pool pool, int mode);
    void (*end)(void *self);
    void (*replay)(void *self);

    // None where the CUDA half is not there, or names them otherwise than libtorch 2.11, which tch pins.
    static const Recorder *get() {
        static const Recorder calls = load();
        return calls.construct && calls.destroy && calls.begin && calls.end && calls.replay ? &calls : nullptr;
    }

  private:
    template <typename F> static void find(F &function, const char *name) {
        function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    }
    static Recorder load() {
        Recorder calls = {};
        find(calls.construct, "_ZN2at4cuda9CUDAGraphC1Eb");
        find(calls.destroy, "_ZN2at4cuda9CUDAGraphD1Ev");
        find(calls.begin, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
        find(calls.end, "_ZN2at4cuda9CUDAGraph11capture_endEv");
        find(calls.replay, "_ZN2at4cuda9CUDAGraph6replayEv");
        return calls;
    }
};

// A place for one: it takes less than 300 bytes in libtorch 2.11.
struct alignas(64) Recording {
    unsigned char place[4096];
};

// Runs `call`; 0, or 1 with the reason in `why`, which has room for `n` bytes. libtorch's own kind of exception is not named:
// the workbench, which shares this file and calls none of it, would need libtorch for the name alone.
template <typename F> int tried(char *why, size_t n, F call) {
    const auto say = [&](const char *said) {
        std::strncpy(why, said, n - 1);
        why[n - 1] = 0;
    };
    try {
        call();
        return 0;
    } catch (const std::exception &error) {
        say(error.what());
    } catch (...) {
        say("an exception of no known kind");
    }
    return 1;
}
} // namespace

extern "C" {

// Makes that device current in this thread; the one that was.
int instdisc_device_exchange(int device, int *previous) {
    try {
        const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
        *previous = guard.exchangeDevice(cuda(device)).index();
        return 0;
    } catch (...) {
        return 1;
    }
}

// Makes another stream than the default one current; the id of the one that was.
int instdisc_stream_enter(int device, int64_t *previous) {
    try {
        const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
        const c10::Stream stream = guard.getNewStream(cuda(device));
        *previous = guard.exchangeStream(stream).id();
        return 0;
    } catch (...) {
        return 1;
    }
}

// fp32 convolutions keep all bits of their factors: cuDNN's default is TF32, which keeps ten.
int instdisc_exact_fp32() {
    try {
        at::globalContext().setAllowTF32CuDNN(false);
        return at::globalContext().allowTF32CuDNN() ? 1 : 0;
    } catch (...) {
        return 1;
    }
}

// Whether that device convolves bf16 itself: 1, 0, or -1 where nobody knows.
int instdisc_has_bf16(int device) {
    try {
        const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
        const c10::Device previous = guard.exchangeDevice(cuda(device));
        const bool has = at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
        guard.exchangeDevice(previous);
        return has ? 1 : 0;
    } catch (...) {
        return -1;
    }
}

// A step of SGD in one pass over its three rows: d = gradient + weight_decay * theta, velocity = momentum * velocity + d,
// theta -= rate * velocity. To be called where no gradient is recorded.
int instdisc_sgd(const at::Tensor *theta, const at::Tensor *gradient, const at::Tensor *velocity, const at::Tensor *rate,
                 double momentum, double weight_decay) {
    try {
        // Not every form of the operator looks.
        if (theta->sizes() != gradient->sizes() || theta->sizes() != velocity->sizes() || rate->numel() != 1) {
            return 1;
        }
        at::_fused_sgd_({*theta}, {*gradient}, {*velocity}, weight_decay, momentum, *rate, /*dampening=*/0.0,
                        /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
        return 0;
    } catch (...) {
        return 1;
    }
}

// A copy in pinned memory, owned by the caller, or none. (tch's takes a device, and libtorch warns of that at every call.)
at::Tensor *instdisc_pinned(const at::Tensor *from) {
    try {
        return new at::Tensor(from->pin_memory());
    } catch (...) {
        return nullptr;
    }
}

// Copies `n` tensors over as many others of the same shapes, whatever their kinds, in a few launches.
int instdisc_copy_all(const at::Tensor *const *to, const at::Tensor *const *from, size_t n) {
    try {
        std::vector<at::Tensor> all_to, all_from;
        for (size_t i = 0; i < n; i++) {
            all_to.push_back(*to[i]);
            all_from.push_back(*from[i]);
        }
        at::_foreach_copy_(all_to, all_from);
        return 0;
    } catch (...) {
        return 1;
    }
}

// Begins to record what is enqueued on the current stream, which must not be the default one. The recording, or none.
void *instdisc_record_begin(char *why, size_t n) {
    const Recorder *recorder = Recorder::get();
    if (!recorder) {
        std::strncpy(why, "libtorch's CUDA half is not there, or names its recorder otherwise than release 2.11", n - 1);
        why[n - 1] = 0;
        return nullptr;
    }
    // cudaStreamCaptureModeRelaxed: the backward pass enqueues from another thread, and memory may be asked for.
    constexpr int relaxed = 2;
    auto recording = std::make_unique<Recording>();
    const int failed = tried(why, n, [&] {
        recorder->construct(recording->place, false);
        recorder->begin(recording->place, {0, 0}, relaxed);
    });
    // What has begun and failed is leaked: libtorch's allocator may still ask it.
    Recording *begun = recording.release();
    return failed ? nullptr : begun;
}

// Ends it, which makes it ready to be launched. Where this fails, it must not be touched again.
int instdisc_record_end(void *recording, char *why, size_t n) {
    return tried(why, n, [&] { Recorder::get()->end(static_cast<Recording *>(recording)->place); });
}

// Enqueues it on the current stream.
int instdisc_record_launch(void *recording, char *why, size_t n) {
    return tried(why, n, [&] { Recorder::get()->replay(static_cast<Recording *>(recording)->place); });
}

// Its destructor throws nothing.
void instdisc_record_free(void *recording) {
    Recording *mine = static_cast<Recording *>(recording);
    Recorder::get()->destroy(mine->place);
    delete mine;
}

// Makes the stream of that id current again.
int instdisc_stream_leave(int device, int64_t previous) {
    try {
        const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
        guard.exchangeStream(c10::Stream(c10::Stream::UNSAFE, cuda(device), previous));
        return 0;
    } catch (...) {
        return 1;
    }
}
}
