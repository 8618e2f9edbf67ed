//! Why runs end badly, each cause with a name and a cure. No I/O here.
//!
//! A reason reads `name: what happened`, wherever it comes from: the trainer's `end` record, or the worker where there
//! is none. The name is what filters and tables show, and what the cure hangs on.

/// A cause that a person can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    DiskFull,
    OutOfMemory,
    /// A loss that is NaN or infinite.
    NotFinite,
    /// Data that is missing, unreadable or not what the run started with.
    Data,
    /// The trainer's process was killed.
    Signal,
    /// The machine stopped under it.
    Machine,
    /// A cluster gave the run less time than it needed.
    TimeLimit,
    /// A cluster would not have it, or ended it by itself.
    Cluster,
    /// The trainer ended without a word.
    Crash,
    /// The journal was cut or replaced.
    DamagedJournal,
}

impl Cause {
    pub const ALL: [Cause; 10] = [
        Cause::DiskFull,
        Cause::OutOfMemory,
        Cause::NotFinite,
        Cause::Data,
        Cause::Signal,
        Cause::Machine,
        Cause::TimeLimit,
        Cause::Cluster,
        Cause::Crash,
        Cause::DamagedJournal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Cause::DiskFull => "disk full",
            Cause::OutOfMemory => "out of memory",
            Cause::NotFinite => "not finite",
            Cause::Data => "data",
            Cause::Signal => "signal",
            Cause::Machine => "machine",
            Cause::TimeLimit => "time limit",
            Cause::Cluster => "cluster",
            Cause::Crash => "crash",
            Cause::DamagedJournal => "damaged journal",
        }
    }

    /// What to do, before or instead of `retry`.
    pub fn cure(self) -> &'static str {
        match self {
            Cause::DiskFull => {
                "free some space (`rm --forever`, other checkpoints), then `retry`: it goes on from its last checkpoint"
            }
            Cause::OutOfMemory => {
                "queue it with a smaller train.batch_size, model.width or data.fraction, or fewer workers at once; \
                 `retry` where something else took the memory"
            }
            Cause::NotFinite => {
                "queue it with a lower train.lr, a higher objective.tau or train.precision = fp32; `retry` only repeats it"
            }
            Cause::Data => {
                "put the data back as it was (`data fetch`, `data verify`), then `retry`; where it lies elsewhere, `queue` \
                 the file again with --set data.root=… or eval.on='[\"NAME=…\"]'"
            }
            Cause::Signal => {
                "`retry`: it goes on from its last checkpoint; find out who kills it if it happens again"
            }
            Cause::Machine => "`retry`: it goes on from its last checkpoint",
            Cause::TimeLimit => {
                "give it more time (slurm.time) or more of it for the last checkpoint (slurm.notice), then `retry`"
            }
            Cause::Cluster => {
                "mend what Slurm names under [slurm] in lab.toml or with --set slurm.…, then `queue` the file again or `retry`"
            }
            Cause::Crash => {
                "`logs` shows its last words, `doctor` what is missing on this machine; then `retry`"
            }
            Cause::DamagedJournal => {
                "`doctor --repair` reads again what is left of it, then `retry`"
            }
        }
    }

    /// The reason that says so.
    pub fn reason(self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.name())
    }

    /// The cause that a reason names, if it names one.
    pub fn of(reason: &str) -> Option<Cause> {
        let (name, _) = reason.split_once(": ")?;
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// The cause behind an error that only has words: libraries below us pass on the system's, or their own.
    pub fn behind(words: &str) -> Option<Cause> {
        const DISK: [&str; 3] = ["No space left on device", "(os error 28)", "Disk quota exceeded"];
        const MEMORY: [&str; 6] = [
            "allocate memory",
            "not enough memory",
            "out of memory",
            "bad_alloc",
            "memory allocation of",
            "Cannot allocate",
        ];
        let any = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
        if any(&DISK) {
            return Some(Cause::DiskFull);
        }
        // oneDNN has agreed to the convolution, and finds no memory for its code and scratch. That it agrees to none is said of
        // a descriptor.
        let unmade = words.contains("could not create a primitive")
            && !words.contains("primitive descriptor");
        (unmade || any(&MEMORY)).then_some(Cause::OutOfMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_back_as_its_cause() {
        for cause in Cause::ALL {
            assert_eq!(Cause::of(&cause.reason("something: else")), Some(cause));
        }
        assert_eq!(Cause::of("no trainer at /x"), None);
    }

    #[test]
    fn the_systems_words_are_understood() {
        let full = std::io::Error::from_raw_os_error(28).to_string();
        assert_eq!(Cause::behind(&full), Some(Cause::DiskFull));
        let torch = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.";
        assert_eq!(Cause::behind(torch), Some(Cause::OutOfMemory));
        assert_eq!(Cause::behind("memory allocation of 64 bytes failed"), Some(Cause::OutOfMemory));
        assert_eq!(Cause::behind("index out of range"), None);
        let unmade = "could not create a primitive";
        assert_eq!(Cause::behind(unmade), Some(Cause::OutOfMemory));
        assert_eq!(Cause::behind(&format!("{unmade} descriptor for a matmul")), None);
    }
}
