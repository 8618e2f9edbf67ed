//! What the trainer computes on: device, arithmetic and threads, resolved once at a run's first start.

use tch::{Device, Kind, Tensor};

use super::cuda;
use super::models::Arithmetic;
use crate::config::spec::Precision;

/// A device that does not exist here.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("device: found {0}, allowed: cpu, cuda or cuda:<number>")]
    Unknown(String),
    #[error("device: found {0}, but libtorch sees no CUDA device here; allowed: cpu")]
    NoCuda(String),
}

/// `cpu`, `cuda` or `cuda:<i>`; loads libtorch's CUDA half where it exists and a CUDA device is asked for.
pub fn parse(name: &str) -> Result<Device, DeviceError> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => Some(0),
        other => other.strip_prefix("cuda:").and_then(|i| i.parse().ok()),
    };
    let index: usize = index.ok_or_else(|| DeviceError::Unknown(name.to_owned()))?;
    cuda::load();
    if (index as i64) < tch::Cuda::device_count() {
        // Each shape of convolution is timed once, by all of cuDNN's kernels, and the fastest stays.
        tch::Cuda::cudnn_set_benchmark(true);
        let _ = cuda::exact_fp32();
        Ok(Device::Cuda(index))
    } else {
        Err(DeviceError::NoCuda(name.to_owned()))
    }
}

/// The name that [`parse`] reads.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// Numbers that a step needs on its device, (n). To CUDA they go from pinned memory: the copy takes its place in the
/// stream and the loop goes on, where a copy from ordinary memory waits until the device has done all before it.
pub fn upload<T: tch::kind::Element>(numbers: &[T], device: Device) -> Tensor {
    let here = Tensor::from_slice(numbers);
    match device.is_cuda().then(|| cuda::pinned(&here)).flatten() {
        Some(pinned) => pinned.to_device_(device, T::KIND, true, false),
        None => here.to_device(device),
    }
}

/// bf16 pays only where the hardware multiplies it: elsewhere it is emulated and slower than fp32.
pub fn arithmetic(precision: Precision, device: Device) -> Arithmetic {
    match precision {
        Precision::Fp32 => Arithmetic::Fp32,
        Precision::Bf16 => Arithmetic::Bf16,
        Precision::Auto => {
            let native = match device {
                Device::Cuda(index) => cuda::has_bf16(index),
                _ => has_bf16(),
            };
            if native { Arithmetic::Bf16 } else { Arithmetic::Fp32 }
        }
    }
}

/// AMX-BF16 or AVX512-BF16.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub fn has_bf16() -> bool {
    let features = raw_cpuid::CpuId::new().get_extended_feature_info();
    features.is_some_and(|f| f.has_amx_bf16() || f.has_avx512_bf16())
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub fn has_bf16() -> bool {
    false
}

/// What a trainer may take of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Trainers that share the cores, this one among them.
    pub trainers: u32,
    /// What a scheduler gave it, where that is less than the machine has.
    pub cores: Option<u32>,
}

impl Share {
    /// The whole machine.
    pub const ALL: Share = Share { trainers: 1, cores: None };
}

/// `threads` where given, else the part of this machine's cores that falls to a trainer.
pub fn threads(threads: u32, share: Share) -> u32 {
    let given = crate::machine::cores().min(share.cores.unwrap_or(u32::MAX));
    if 0 < threads { threads } else { (given / share.trainers.max(1)).max(1) }
}

/// Lets libtorch and our own loops use `threads` threads, to be called before the first computation.
///
/// MKL chooses its vector functions' kernels at the first call. When two threads make that call at once, one of them may
/// get another kernel, and the last bits of the first `exp` differ from run to run: seen with libtorch 2.11 in 5 of 180
/// starts with two threads, always in the same way, and in `exp` alone among all tensors of the first step. So one thread
/// makes the first call.
pub fn pin_threads(threads: u32) {
    let settle = |kind| {
        let some = Tensor::ones([16], (kind, Device::Cpu)); // (16), too few to be shared out
        let _ = (some.exp(), some.log(), some.log1p(), some.expm1(), some.tanh(), some.erf());
        let _ = (some.sin(), some.cos(), some.sqrt());
    };
    settle(Kind::Float);
    settle(Kind::Double);
    tch::set_num_threads(threads as i32);
    // Already built means a second attempt in this process, as tests make it: the pool then stays as it is.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global();
}
