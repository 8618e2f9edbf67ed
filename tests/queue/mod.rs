//! The queue with real processes: one file a verb, each test in a lab of its own.

mod cancel;
mod claim;
mod edit;
mod enqueue;
mod pause;
mod recover;
mod retry;
mod run;
mod trainer;
mod workers;
