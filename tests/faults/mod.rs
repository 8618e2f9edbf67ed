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
pub use crate::support::faults::{Chance, either};

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
