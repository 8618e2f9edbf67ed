//! Faults put into the real processes: what is acknowledged survives, and nothing is said that is not so.
//!
//! Every test here has a quick form, which `make test` runs, and a long one, `make test-faults` (`INSTDISC_FAULTS=long`);
//! both are the same code with other numbers. What is drawn at random comes from one seed, which a failing test prints
//! and `INSTDISC_FAULT_SEED` gives back.

mod clock;
mod corrupt;
mod disk;
mod endings;
mod hostile;
mod kills;
mod layer;
mod load;
mod versions;

use instdisc_lab::lab::Home;
use instdisc_lab::queue::audit::{Grade, Problem, audit};
use instdisc_lab::store::Store;

use crate::support::Lab;

/// How much of a test is done.
pub fn is_long() -> bool {
    std::env::var("INSTDISC_FAULTS").is_ok_and(|form| form == "long")
}

/// `quick` in `make test`, `long` in `make test-faults`.
pub fn either<T>(quick: T, long: T) -> T {
    if is_long() { long } else { quick }
}

/// What `make test` draws from, so that it says the same about the same commit. With this one a run's experiment lost
/// its name, and the repair its way.
const QUICK_SEED: u64 = 4_292_177_490;

/// Numbers that look random and can be had again (SplitMix64, Steele, Lea and Flood 2014).
pub struct Chance {
    pub seed: u64,
    state: u64,
}

impl Chance {
    /// From `INSTDISC_FAULT_SEED`, else in the quick form the same each time and in the long one another; printed, which
    /// a passing test keeps to itself.
    pub fn new(test: &str) -> Self {
        let given = std::env::var("INSTDISC_FAULT_SEED").ok().and_then(|text| text.parse().ok());
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let drawn = || if is_long() { now().as_nanos() as u64 & 0xffff_ffff } else { QUICK_SEED };
        let seed = given.unwrap_or_else(drawn);
        println!("{test}: INSTDISC_FAULT_SEED={seed}");
        Self { seed, state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// What does not hold in `lab`, leftovers apart.
pub fn flaws(lab: &Lab) -> Vec<Problem> {
    let mut found = problems(&lab.home());
    found.retain(|problem| problem.grade == Grade::Flaw);
    found
}

/// What `doctor --check` would find.
pub fn problems(home: &Home) -> Vec<Problem> {
    try_problems(home).unwrap()
}

/// Nothing where the run log is damaged beyond a look.
pub fn try_problems(home: &Home) -> Option<Vec<Problem>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open_readonly(home).await.ok()?;
        audit(home, &store).await.ok()
    })
}

/// `doctor --repair`, without what it says.
pub fn repair(lab: &Lab) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = instdisc_lab::journal::writer::system_clock();
    runtime.block_on(instdisc_lab::queue::rebuild(&lab.home(), &clock)).unwrap();
}
