//! What CUDA has that tch has no binding for: its half of libtorch, loaded where it exists, and steps recorded once and
//! launched whole. Nothing here knows what a step computes.

use std::ffi::c_int;

mod graph;

pub use graph::{Graph, GraphError};

/// `libtorch_cuda.so` registers its kernels when it is loaded. The trainer is linked against the CPU library alone, so
/// that one binary serves both kinds of machine; where the CUDA library lies beside it, this brings it in.
#[cfg(unix)]
pub fn load() {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the library's initialisers only register operators and devices with the libtorch that is already
    // loaded; it is leaked, so nothing of it is ever unmapped.
    #[allow(unsafe_code, reason = "loading a shared library runs its initialisers")]
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    if let Ok(library) = library {
        std::mem::forget(library);
    }
}

#[cfg(not(unix))]
pub fn load() {}

#[allow(unsafe_code, reason = "stream.cpp, which lets no exception out")]
unsafe extern "C" {
    fn instdisc_exact_fp32() -> c_int;
    fn instdisc_has_bf16(device: c_int) -> c_int;
}

/// Has fp32 convolutions keep all bits of their factors, as a run that says fp32 promises: cuDNN's own choice is TF32, which
/// keeps ten. Whether libtorch took it.
pub fn exact_fp32() -> bool {
    // SAFETY: sets a flag of libtorch and reads it; exceptions end there.
    #[allow(unsafe_code, reason = "a C function")]
    let refused = unsafe { instdisc_exact_fp32() };
    refused == 0
}

/// Whether CUDA device `index` convolves bf16 itself: since Ampere (2020). True where libtorch cannot say.
pub fn has_bf16(index: usize) -> bool {
    // SAFETY: makes the device current for the question, and no longer; exceptions end there.
    #[allow(unsafe_code, reason = "a C function")]
    let answer = unsafe { instdisc_has_bf16(index as c_int) };
    answer != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_takes_it_that_fp32_is_fp32_and_knows_nothing_of_a_device_that_is_not_there() {
        assert!(exact_fp32());
        assert!(has_bf16(99));
    }
}
