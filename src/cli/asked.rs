//! What `run` and `queue` are told alike: files, what to lay over them, and who is to work.

use std::path::PathBuf;

use color_eyre::eyre::Result;

use super::{Context, bad_input};
use crate::config::{Invalid, Overrides, experiment};
use crate::queue::slots::check_device;
use crate::queue::{Plan, Slot, Workers};

/// Which runs.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// Experiment files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ask the same question at another size, as the file's `[size.…]` says.
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// Fix a value, also of a key that the file varies.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Vary a key over these values.
    #[arg(long = "grid", value_name = "KEY=V1,V2")]
    grid: Vec<String>,
}

/// Who works.
#[derive(Debug, clap::Args)]
pub struct Hands {
    /// Trainers at once on the device; else what `lab.toml` says, else 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: Option<u32>,
    /// `cpu`, `cuda:0`, …; else what `lab.toml` says, else `cpu`.
    #[arg(long, value_name = "D", value_parser = check_device)]
    device: Option<String>,
}

impl Asked {
    /// Every file's runs. What is wrong in any of the files is said at once.
    pub fn plans(&self, context: &Context) -> Result<Vec<Plan>> {
        let (size, set, grid) = (self.size.clone(), self.set.clone(), self.grid.clone());
        let overrides = Overrides { size, set, grid };
        let mut plans = Vec::new();
        let mut problems = Vec::new();
        for file in &self.files {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(context.cwd.join(file))
                .map_err(|why| bad_input(format!("{name}: cannot be read: {why}")))?;
            let plan = experiment::parse(&name, &text, &overrides)
                .and_then(|experiment| Plan::new(experiment, &context.cwd));
            match plan {
                Ok(plan) => plans.push(plan),
                Err(Invalid(more)) => problems.extend(more),
            }
        }
        if problems.is_empty() { Ok(plans) } else { Err(Invalid(problems).into()) }
    }
}

impl Hands {
    pub fn slots(&self, context: &Context) -> Result<Vec<Slot>> {
        let workers = Workers::load(&context.home)?;
        Ok(workers.chosen(self.device.as_deref(), self.workers))
    }
}
