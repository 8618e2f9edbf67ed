//! What CUDA has that tch has no binding for: its half of libtorch, loaded where it exists, and steps recorded once and
//! launched whole. Nothing here knows what a step computes.

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
