//! What CUDA has that tch has no binding for: its half of libtorch, loaded where it exists, and steps recorded once and
//! launched whole. Nothing here knows what a step computes.

use std::ffi::{c_int, c_void};

use tch::Tensor;

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

#[allow(unsafe_code, reason = "bindings.cpp, which lets no exception out")]
unsafe extern "C" {
    fn instdisc_exact_fp32() -> c_int;
    fn instdisc_has_bf16(device: c_int) -> c_int;
    fn instdisc_sgd(
        theta: *const c_void,
        gradient: *const c_void,
        velocity: *const c_void,
        rate: *const c_void,
        momentum: f64,
        weight_decay: f64,
    ) -> c_int;
    fn instdisc_pinned(from: *const c_void) -> *mut c_void;
    fn instdisc_copy_all(to: *const *const c_void, from: *const *const c_void, n: usize) -> c_int;
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

/// A step of SGD in one pass over three rows (P,) fp32, with d = `gradient` + `weight_decay`·θ: u ← `momentum`·u + d;
/// θ ← θ − `rate`·u, `rate` being a scalar on their device. Whether libtorch did it; where not, nothing has changed.
pub fn sgd(
    theta: &Tensor,
    gradient: &Tensor,
    velocity: &Tensor,
    rate: &Tensor,
    momentum: f64,
    weight_decay: f64,
) -> bool {
    let (theta, gradient, velocity, rate) = (at(theta), at(gradient), at(velocity), at(rate));
    // SAFETY: four tensors of libtorch, which outlive the call and of which tch holds a pointer each; exceptions end there.
    #[allow(unsafe_code, reason = "a C function")]
    let refused = unsafe { instdisc_sgd(theta, gradient, velocity, rate, momentum, weight_decay) };
    refused == 0
}

fn at(tensor: &Tensor) -> *const c_void {
    tensor.as_ptr().cast()
}

/// A copy in memory that the device reads by itself; None where there is no device.
pub fn pinned(from: &Tensor) -> Option<Tensor> {
    // SAFETY: the tensor outlives the call; what comes back is a new one that nobody else holds, or null.
    #[allow(unsafe_code, reason = "a C function, and a tensor that it made")]
    unsafe {
        let copy = instdisc_pinned(at(from));
        (!copy.is_null()).then(|| Tensor::from_ptr(copy.cast()))
    }
}

/// Copies each of `from` over its like in `to`, of the same shape and perhaps another kind, in a few launches instead of one
/// each. Whether libtorch did it; where not, some may have been copied.
pub fn copy_all(to: &[&Tensor], from: &[&Tensor]) -> bool {
    let same = to.len() == from.len() && to.iter().zip(from).all(|(a, b)| a.size() == b.size());
    let (to, from): (Vec<_>, Vec<_>) = to.iter().zip(from).map(|(a, b)| (at(a), at(b))).unzip();
    // SAFETY: as many tensors in both, which outlive the call; exceptions end there.
    #[allow(unsafe_code, reason = "a C function")]
    let copied = || unsafe { instdisc_copy_all(to.as_ptr(), from.as_ptr(), to.len()) == 0 };
    same && copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_takes_it_that_fp32_is_fp32_and_knows_nothing_of_a_device_that_is_not_there() {
        assert!(exact_fp32());
        assert!(has_bf16(99));
    }

    #[test]
    fn tensors_of_two_kinds_are_copied_at_once_and_others_not() {
        let row = |xs: [f32; 3]| Tensor::from_slice(&xs);
        let (a, b) = (row([0.0; 3]), row([0.0; 3]));
        let half = row([1.0, 2.0, 3.0]).to_kind(tch::Kind::BFloat16);
        assert!(copy_all(&[&a, &b], &[&half, &row([4.0, 5.0, 6.0])]));
        assert_eq!((&a, &b), (&row([1.0, 2.0, 3.0]), &row([4.0, 5.0, 6.0])));
        assert!(!copy_all(&[&a], &[&Tensor::from_slice(&[1f32])]));
        assert!(!copy_all(&[&a], &[]));
    }

    #[test]
    fn what_libtorch_cannot_descend_stays_as_it_is() {
        let ones = |n: i64| Tensor::ones([n], (tch::Kind::Float, tch::Device::Cpu));
        let (theta, velocity) = (ones(4), ones(4));
        let rate = Tensor::from(0.1f32);
        let done = tch::no_grad(|| sgd(&theta, &ones(3), &velocity, &rate, 0.9, 0.0));
        assert!(!done);
        assert_eq!((theta, velocity), (ones(4), ones(4)));
    }
}
