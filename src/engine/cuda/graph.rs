//! A sequence of device operations recorded once and launched as one (a CUDA graph).
//!
//! A ResNet-18 step is some 400 kernels of a few microseconds, and a processor takes longer to launch them one by one
//! than the device to run them. A recorded step is launched whole.
//!
//! What is recorded is addresses: the operations read and write the same memory at every launch. Tensors from outside
//! are read where they lie. Those that are made while recording lie in memory of the stream that recorded, which libtorch's
//! allocator gives to nobody else but another recording; as each recording takes a stream of its own, nothing comes
//! between two launches. (The allocator gives cached memory back to the device when that is full; then training fails
//! with an error of its own.)

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

/// Why operations could not be recorded or launched.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[error("the CUDA runtime was not found: {0}")]
    NoRuntime(String),
    #[error("libtorch gave no device or stream to record on")]
    NoStream,
    #[error("{call}: {why}")]
    Runtime { call: &'static str, why: String },
    #[error("what was to be recorded failed: {0}")]
    Body(String),
}

/// Operations on one CUDA device, ready to be launched.
pub struct Graph {
    device: c_int,
    executable: *mut c_void,
}

impl Graph {
    /// Records what `body` enqueues on the device; nothing of it runs. `body` must not read anything back, and copies from
    /// ordinary memory are refused.
    ///
    /// # Errors
    /// What CUDA or libtorch refused. The device is as it was.
    pub fn record<T>(device: usize, body: impl FnOnce() -> T) -> Result<(Graph, T), GraphError> {
        let runtime = runtime()?;
        let device = device as c_int;
        let _on = Current::enter(device)?;
        let stream = Stream::enter(device)?;
        // Relaxed: libtorch's allocator may ask the device for memory meanwhile, and its backward pass enqueues from
        // another thread.
        const RELAXED: c_int = 2;
        runtime.check("cudaStreamBeginCapture", (runtime.begin)(stream.handle, RELAXED))?;
        let made = catch_unwind(AssertUnwindSafe(body));
        let mut recorded = ptr::null_mut();
        let ended = (runtime.end)(stream.handle, &mut recorded);
        drop(stream);
        // Before anything else is said: an error that is left there libtorch would take for one of its next operation.
        let ended = runtime.check("cudaStreamEndCapture", ended);
        let mut executable = ptr::null_mut();
        let mut instantiated = Ok(());
        if !recorded.is_null() {
            let code = (runtime.instantiate)(&mut executable, recorded, 0);
            instantiated = runtime.check("cudaGraphInstantiate", code);
            (runtime.destroy)(recorded);
        }
        let graph = Graph { device, executable };
        let made =
            made.map_err(|panic| GraphError::Body(crate::engine::attempt::message(&*panic)))?;
        ended.and(instantiated)?;
        Ok((graph, made))
    }

    /// Enqueues the operations on the default stream, after all that is there.
    ///
    /// # Errors
    /// What CUDA refused.
    pub fn launch(&self) -> Result<(), GraphError> {
        let runtime = runtime()?;
        // No stream means the default one of the device that is current.
        let _on = Current::enter(self.device)?;
        runtime.check("cudaGraphLaunch", (runtime.launch)(self.executable, ptr::null_mut()))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let (Ok(runtime), false) = (runtime(), self.executable.is_null()) {
            (runtime.destroy_executable)(self.executable);
        }
    }
}

/// A stream of libtorch's pool, current in this thread as long as this lives.
struct Stream {
    device: c_int,
    handle: *mut c_void,
    previous: i64,
}

/// A device that is current in this thread as long as this lives: tch sets none, libtorch one an operation.
struct Current {
    previous: c_int,
}

impl Current {
    fn enter(device: c_int) -> Result<Self, GraphError> {
        let mut previous = 0;
        // SAFETY: the pointer is to a local that outlives the call; without such a device it returns 1.
        #[allow(unsafe_code, reason = "a C function")]
        let refused = unsafe { instdisc_device_exchange(device, &mut previous) };
        if refused == 0 { Ok(Self { previous }) } else { Err(GraphError::NoStream) }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let mut left = 0;
        // SAFETY: as above; `previous` was current before.
        #[allow(unsafe_code, reason = "a C function")]
        unsafe {
            instdisc_device_exchange(self.previous, &mut left);
        }
    }
}

#[allow(unsafe_code, reason = "stream.cpp, which lets no exception out")]
unsafe extern "C" {
    fn instdisc_device_exchange(device: c_int, previous: *mut c_int) -> c_int;
    fn instdisc_stream_enter(device: c_int, handle: *mut *mut c_void, previous: *mut i64) -> c_int;
    fn instdisc_stream_leave(device: c_int, previous: i64) -> c_int;
}

impl Stream {
    fn enter(device: c_int) -> Result<Self, GraphError> {
        let mut stream = Self { device, handle: ptr::null_mut(), previous: 0 };
        // SAFETY: both pointers are to fields that outlive the call; without such a device it returns 1.
        #[allow(unsafe_code, reason = "a C function")]
        let refused =
            unsafe { instdisc_stream_enter(device, &mut stream.handle, &mut stream.previous) };
        if refused == 0 {
            Ok(stream)
        } else {
            std::mem::forget(stream);
            Err(GraphError::NoStream)
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: plain numbers, of which `previous` came from `enter` on the same device.
        #[allow(unsafe_code, reason = "a C function")]
        unsafe {
            instdisc_stream_leave(self.device, self.previous);
        }
    }
}

/// The functions of libcudart that are called here, all of which return 0 for success.
struct Runtime {
    begin: extern "C" fn(*mut c_void, c_int) -> c_int,
    end: extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int,
    instantiate: extern "C" fn(*mut *mut c_void, *mut c_void, u64) -> c_int,
    launch: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    destroy: extern "C" fn(*mut c_void) -> c_int,
    destroy_executable: extern "C" fn(*mut c_void) -> c_int,
    describe: extern "C" fn(c_int) -> *const c_char,
    clear: extern "C" fn() -> c_int,
}

impl Runtime {
    /// The runtime that libtorch 2.11 is linked against, by now loaded with it.
    fn load() -> Result<Self, libloading::Error> {
        // SAFETY: the signatures are those of CUDA 13's cuda_runtime_api.h, with handles as pointers and enumerations as
        // int. The library is leaked below, so that the functions stay where they are.
        #[allow(unsafe_code, reason = "functions of a shared library, by name")]
        unsafe {
            let library = Library::new("libcudart.so.13")?;
            let runtime = Self {
                begin: *library.get(b"cudaStreamBeginCapture\0")?,
                end: *library.get(b"cudaStreamEndCapture\0")?,
                instantiate: *library.get(b"cudaGraphInstantiateWithFlags\0")?,
                launch: *library.get(b"cudaGraphLaunch\0")?,
                destroy: *library.get(b"cudaGraphDestroy\0")?,
                destroy_executable: *library.get(b"cudaGraphExecDestroy\0")?,
                describe: *library.get(b"cudaGetErrorString\0")?,
                clear: *library.get(b"cudaGetLastError\0")?,
            };
            std::mem::forget(library);
            Ok(runtime)
        }
    }

    fn check(&self, call: &'static str, code: c_int) -> Result<(), GraphError> {
        if code == 0 {
            return Ok(());
        }
        // A refused recording is reported here; libtorch would take it for an error of its next operation.
        (self.clear)();
        // SAFETY: CUDA answers any code with a text that is never freed.
        #[allow(unsafe_code, reason = "a text of the CUDA runtime")]
        let why = unsafe { CStr::from_ptr((self.describe)(code)) };
        Err(GraphError::Runtime { call, why: why.to_string_lossy().into_owned() })
    }
}

fn runtime() -> Result<&'static Runtime, GraphError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::load().map_err(|error| error.to_string()));
    runtime.as_ref().map_err(|why| GraphError::NoRuntime(why.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_nothing_is_recorded_and_the_body_never_runs() {
        if tch::Cuda::is_available() {
            return;
        }
        let result = Graph::record(0, || panic!("recorded without a device"));
        assert!(matches!(result, Err(GraphError::NoStream | GraphError::NoRuntime(_))));
    }
}
