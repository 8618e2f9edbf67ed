// Which CUDA device and stream are current, and how exactly cuDNN multiplies: state of libtorch that tch binds no way to.
// Only the device-independent interface is used, so this compiles against libtorch's CPU half; the CUDA half registers itself when it is loaded.
// Exceptions end here: 0 is success, 1 is not.

#include <cstdint>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {
c10::Device cuda(int device) {
    return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
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

// Makes another stream than the default one current; its cudaStream_t, and the id of the one that was.
int instdisc_stream_enter(int device, void **handle, int64_t *previous) {
    try {
        const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
        const c10::Stream stream = guard.getNewStream(cuda(device));
        *handle = stream.native_handle();
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
