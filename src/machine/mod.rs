//! The machine that a program runs on: processors, memory, GPUs, as its system tells them.
//!
//! What is not told is absent, never zero. Knows nothing of runs.

pub mod gpus;
pub mod proc;

use std::fs;

use crate::journal::event::{Figures, GpuFigures};

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    /// What could be had without swapping.
    pub available: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// One GPU; shares in [0, 1], sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpu {
    pub name: String,
    pub busy: Option<f64>,
    /// Used and total.
    pub memory: Option<(u64, u64)>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    pub watts: Option<f64>,
}

/// Physical processors that this process may use: two threads on one core only share its vector units.
pub fn cores() -> u32 {
    let available = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let physical = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| proc::cores(&text));
    physical.map_or(available, |cores| cores.min(available)).max(1)
}

/// Bytes of memory, where the system tells.
pub fn memory() -> Option<u64> {
    Some(proc::memory(&fs::read_to_string("/proc/meminfo").ok()?)?.total)
}

/// Looks at the machine now and then.
#[derive(Default)]
pub struct Watch {
    cores: Vec<proc::Times>,
}

impl Watch {
    /// How busy it was since the last look, with what CUDA calls GPU number `gpu`; none before the second look, or where the system does
    /// not tell.
    pub fn look(&mut self, gpu: Option<usize>) -> Option<Figures> {
        let times = proc::times(&fs::read_to_string("/proc/stat").ok()?);
        let busy = proc::busy(&self.cores, &times);
        self.cores = times;
        let busy = busy?;
        let memory = proc::memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
        let gpu = gpu.and_then(|at| gpus::given(at, |name| std::env::var(name).ok()));
        Some(Figures {
            cores: busy.len() as u32,
            busy: busy.iter().sum(),
            memory_total: memory.total,
            memory_used: memory.total.saturating_sub(memory.available),
            gpu: gpu.and_then(|gpu| {
                let (memory_used, memory_total) = gpu.memory?;
                Some(GpuFigures { name: gpu.name, busy: gpu.busy, memory_total, memory_used })
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_busy_is_known_from_the_second_look_on() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(None), None);
        let figures = watch.look(None).unwrap();
        assert!((0.0..=f64::from(figures.cores)).contains(&figures.busy));
        assert!(figures.memory_used <= figures.memory_total && figures.gpu.is_none());
    }
}
