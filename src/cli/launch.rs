//! `launch TRAINER ARGS…`, hidden: what a worker starts, and what becomes the trainer.
//!
//! A trainer needs a session of its own. In its worker's session its process group would be orphaned when the worker
//! dies, and the kernel ends a stopped member of such a group with a hang-up (setpgid(2), exit(3p)). `setsid` has to
//! be called in the new process, where std allows only unsafe code before the program is replaced; as the first act
//! of a program it is an ordinary call.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use color_eyre::eyre::Result;

use super::{Context, Exit, bad_input};
use crate::queue::launcher::family::adopt_orphans;

/// Become TRAINER in a session of its own.
#[derive(Debug, clap::Args)]
pub struct Args {
    trainer: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Args {
    pub async fn run(self, _context: &Context) -> Result<Exit> {
        // Refused only to the leader of a group, which no worker makes us.
        let _ = rustix::process::setsid();
        // What the trainer's helpers leave behind stays below it, where a cancel finds it.
        adopt_orphans();
        let why = Command::new(&self.trainer).args(&self.args).exec();
        Err(bad_input(format!("cannot start {}: {why}", self.trainer.display())))
    }
}
