//! A sequence of device operations recorded once and launched as one (a CUDA graph).
//!
//! A ResNet-18 step is some 400 kernels of a few microseconds, and a processor takes longer to launch them one by one
//! than the device to run them. A recorded step is launched whole.
//!
//! What is recorded is addresses: the operations read and write the same memory at every launch. Tensors from outside
//! are read where they lie, so they have to stay. Those that are made while recording lie in memory that libtorch keeps for
//! the recording alone.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why operations could not be recorded or launched.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[error("libtorch gave no device or stream to record on")]
    NoStream,
    #[error("{call}: {why}")]
    Refused { call: &'static str, why: String },
    #[error("what was to be recorded failed: {0}")]
    Body(String),
}

/// Operations on one CUDA device, ready to be launched.
pub struct Graph {
    device: c_int,
    recording: *mut c_void,
}

#[allow(unsafe_code, reason = "bindings.cpp, which lets no exception out")]
unsafe extern "C" {
    fn instdisc_device_exchange(device: c_int, previous: *mut c_int) -> c_int;
    fn instdisc_stream_enter(device: c_int, previous: *mut i64) -> c_int;
    fn instdisc_stream_leave(device: c_int, previous: i64) -> c_int;
    fn instdisc_record_begin(why: *mut c_char, n: usize) -> *mut c_void;
    fn instdisc_record_end(recording: *mut c_void, why: *mut c_char, n: usize) -> c_int;
    fn instdisc_record_launch(recording: *mut c_void, why: *mut c_char, n: usize) -> c_int;
    fn instdisc_record_free(recording: *mut c_void);
}

impl Graph {
    /// Records what `body` enqueues on the device; nothing of it runs. `body` must not read anything back, and copies from
    /// ordinary memory are refused.
    ///
    /// # Errors
    /// What `body` failed with, or what CUDA or libtorch refused. Nothing was run then; but libtorch does not undo what it
    /// began, so memory of the failed recording stays reserved, and its allocator is more careful with the rest.
    pub fn record<T>(device: usize, body: impl FnOnce() -> T) -> Result<(Graph, T), GraphError> {
        let device = device as c_int;
        let _on = Current::enter(device)?;
        let _stream = Stream::enter(device)?;
        // SAFETY: the buffer is as long as is said; what comes back is null or a recording that only this function knows.
        #[allow(unsafe_code, reason = "a C function")]
        let recording = asked("begin", |why, n| {
            let recording = unsafe { instdisc_record_begin(why, n) };
            (!recording.is_null()).then_some(recording)
        })?;
        let made = catch_unwind(AssertUnwindSafe(body));
        // SAFETY: the recording that was begun above. Where this fails it is leaked, as libtorch may still know of it.
        #[allow(unsafe_code, reason = "a C function")]
        let ended = asked("end", |why, n| {
            let failed = unsafe { instdisc_record_end(recording, why, n) };
            (failed == 0).then_some(())
        });
        let graph = ended.map(|()| Graph { device, recording });
        match made {
            // What is not allowed in a recording fails twice: the panic names the operation, the end only that there was one.
            Err(panic) => Err(GraphError::Body(crate::engine::attempt::message(&*panic))),
            Ok(made) => Ok((graph?, made)),
        }
    }

    /// Enqueues the operations on the default stream, after all that is there.
    ///
    /// # Errors
    /// What CUDA refused.
    pub fn launch(&self) -> Result<(), GraphError> {
        // The default stream of a device that no other was made current on.
        let _on = Current::enter(self.device)?;
        // SAFETY: a recording that was ended well, which lives as long as this.
        #[allow(unsafe_code, reason = "a C function")]
        asked("launch", |why, n| {
            let failed = unsafe { instdisc_record_launch(self.recording, why, n) };
            (failed == 0).then_some(())
        })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: nobody else knows it. CUDA keeps what a launch that is under way needs until that is done.
        #[allow(unsafe_code, reason = "a C function")]
        unsafe {
            instdisc_record_free(self.recording);
        }
    }
}

/// What `call` answers, or the reason that it wrote into the buffer it is given.
fn asked<T>(
    call: &'static str,
    ask: impl FnOnce(*mut c_char, usize) -> Option<T>,
) -> Result<T, GraphError> {
    let mut why = [0u8; 512];
    ask(why.as_mut_ptr().cast(), why.len()).ok_or_else(|| {
        let why = CStr::from_bytes_until_nul(&why).unwrap_or_default().to_string_lossy();
        // libtorch goes on about where in its own code; the first line says what.
        let why = why.lines().next().unwrap_or_default().to_owned();
        GraphError::Refused { call, why }
    })
}

/// A stream of libtorch's pool, current in this thread as long as this lives.
struct Stream {
    device: c_int,
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

impl Stream {
    fn enter(device: c_int) -> Result<Self, GraphError> {
        let mut previous = 0;
        // SAFETY: the pointer is to a local that outlives the call; without such a device it returns 1.
        #[allow(unsafe_code, reason = "a C function")]
        let refused = unsafe { instdisc_stream_enter(device, &mut previous) };
        if refused == 0 { Ok(Self { device, previous }) } else { Err(GraphError::NoStream) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_nothing_is_recorded_and_the_body_never_runs() {
        if tch::Cuda::is_available() {
            return;
        }
        let result = Graph::record(0, || panic!("recorded without a device"));
        assert!(matches!(result, Err(GraphError::NoStream)));
    }

    #[test]
    fn a_reason_is_the_first_line_of_it() {
        let refused = asked::<()>("end", |why, n| {
            let text = b"CUDA error: it is\nCompile with that\0";
            assert!(text.len() < n);
            // SAFETY: the buffer is longer.
            #[allow(unsafe_code, reason = "as a C function writes")]
            unsafe {
                std::ptr::copy_nonoverlapping(text.as_ptr().cast(), why, text.len());
            }
            None
        });
        assert_eq!(refused.unwrap_err().to_string(), "end: CUDA error: it is");
    }
}
