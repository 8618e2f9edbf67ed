//! A slot is the right to run one trainer on one device: a lock file that its worker holds for life.
//!
//! The kernel drops the lock however the worker dies, so a free lock is proof that nobody works the slot. Lock files
//! are never deleted: a lock on an unlinked file would exclude nobody. Knows nothing of runs.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::locks::is_held;
use crate::lab::Home;

/// The device of the one slot whose runs a Slurm cluster works on.
pub const SLURM: &str = "slurm";

/// Place `index` on `device`; reads `cpu-0`, `cuda:1-0`, `slurm-0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// `cpu`, `cuda:<i>` or `slurm`.
    pub device: String,
    pub index: u32,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.device, self.index)
    }
}

/// `cpu` or `cuda:<i>`, `cuda` being the first; anything else is a typing error that would only surface in the trainer.
pub fn check_device(text: &str) -> Result<String, String> {
    let index = text.strip_prefix("cuda:").map(str::parse::<u32>);
    match (text, index) {
        ("cpu", _) | (_, Some(Ok(_))) => Ok(text.to_owned()),
        ("cuda", _) => Ok("cuda:0".to_owned()),
        _ => Err(format!("found {text}, allowed: cpu, cuda:0, cuda:1, …")),
    }
}

impl Slot {
    pub fn new(device: &str, index: u32) -> Self {
        Self { device: device.to_owned(), index }
    }

    /// Reads back what `Display` writes.
    pub fn parse(name: &str) -> Option<Self> {
        let (device, index) = name.rsplit_once('-')?;
        let device = match device {
            SLURM => SLURM.to_owned(),
            device => check_device(device).ok()?,
        };
        Some(Self { device, index: index.parse().ok()? })
    }

    /// The one through which runs go to a cluster.
    pub fn cluster() -> Self {
        Self::new(SLURM, 0)
    }

    pub fn lock(&self, home: &Home) -> PathBuf {
        home.slots().join(self.to_string())
    }

    /// Left by whoever found the slot held and wants the queue worked on it.
    fn wanted(&self, home: &Home) -> PathBuf {
        home.slots().join(format!("{self}.wanted"))
    }

    /// What a detached worker of this slot prints.
    pub fn log(&self, home: &Home) -> PathBuf {
        home.slots().join(format!("{self}.log"))
    }
}

/// A slot held by this process; dropping it lets the slot go.
#[derive(Debug)]
pub struct Held {
    pub slot: Slot,
    // Only its lock matters.
    _file: File,
}

/// Takes the slot, or gives up after `patience`: others hold the lock for an instant when they look whether it is free.
pub fn acquire(home: &Home, slot: &Slot, patience: Duration) -> io::Result<Option<Held>> {
    std::fs::create_dir_all(home.slots())?;
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let file = options.open(slot.lock(home))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(why)) => return Err(why),
        }
    }
    Ok(Some(Held { slot: slot.clone(), _file: file }))
}

/// How many slots of this machine's own devices are worked now.
pub fn n_held(home: &Home) -> io::Result<usize> {
    let mut n = 0;
    for entry in std::fs::read_dir(home.slots())? {
        let name = entry?.file_name();
        let slot = name.to_str().and_then(Slot::parse);
        if let Some(slot) = slot.filter(|slot| slot.device != SLURM) {
            n += usize::from(is_held(&slot.lock(home))?);
        }
    }
    Ok(n)
}

/// Whether nobody works this slot.
pub fn is_free(home: &Home, slot: &Slot) -> io::Result<bool> {
    Ok(!is_held(&slot.lock(home))?)
}

/// Notes, for the worker that holds the slot, that the queue is to be worked on it.
pub fn want(home: &Home, slot: &Slot) -> io::Result<()> {
    File::create(slot.wanted(home)).map(drop)
}

/// Whether somebody has noted that since the last answer. To be asked when the slot was let go: who notes it looks once
/// more whether the slot is free.
pub fn was_wanted(home: &Home, slot: &Slot) -> bool {
    std::fs::remove_file(slot.wanted(home)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_back_from_its_name() {
        for slot in [Slot::new("cpu", 0), Slot::new("cuda:3", 12), Slot::cluster()] {
            assert_eq!(Slot::parse(&slot.to_string()), Some(slot));
        }
        for name in ["cpu-0.log", "cpu-0.wanted", "cpu", "gpu-0", "cuda:x-0"] {
            assert_eq!(Slot::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_slot_has_one_holder_and_is_free_when_that_one_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let slot = Slot::new("cpu", 0);
        assert!(is_free(&home, &slot).unwrap());
        let held = acquire(&home, &slot, Duration::ZERO).unwrap().unwrap();
        assert!(acquire(&home, &slot, Duration::ZERO).unwrap().is_none());
        assert!(!is_free(&home, &slot).unwrap());
        let second = Slot::new("cpu", 1);
        assert!(is_free(&home, &second).unwrap());
        assert_eq!(n_held(&home).unwrap(), 1);
        std::fs::write(second.log(&home), "no lock").unwrap();
        let also = acquire(&home, &second, Duration::ZERO).unwrap().unwrap();
        assert_eq!(n_held(&home).unwrap(), 2);
        drop((held, also));
        assert_eq!(n_held(&home).unwrap(), 0);
        assert!(is_free(&home, &slot).unwrap());
    }
}
