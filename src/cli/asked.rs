//! What `run` and `queue` are told alike: files, what to lay over them, and who is to work.

use std::collections::BTreeSet;
use std::path::PathBuf;

use color_eyre::eyre::Result;

use super::{Context, bad_input, say};
use crate::config::{Invalid, Overrides, experiment};
use crate::data::published;
use crate::queue::launcher::devices::{absent, leave_out};
use crate::queue::launcher::local::Local;
use crate::queue::slots::check_device;
use crate::queue::slurm::client::Trouble;
use crate::queue::slurm::settings::PREFIX;
use crate::queue::slurm::{self, array};
use crate::queue::{Plan, Slot, Where, Workers};
use crate::store::Launch;

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
    /// Trainers at once on the device; else what `lab.toml` says, else one a core that has memory for it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: Option<u32>,
    /// `cpu`, `cuda:0`, …; else what `lab.toml` says, else `cpu`.
    #[arg(long, value_name = "D", value_parser = check_device)]
    device: Option<String>,
    /// On this machine, or on the Slurm cluster that it is a login node of; else what `lab.toml` says. What is asked of the
    /// cluster stands there under `[slurm]`, and for these runs in `--set slurm.partition=…`.
    #[arg(long, value_enum, value_name = "L")]
    launcher: Option<Where>,
}

impl Asked {
    /// Every file's runs. What is wrong in any of the files is said at once.
    pub fn plans(&self, context: &Context) -> Result<Vec<Plan>> {
        let set = self.set.iter().filter(|set| !set.starts_with(PREFIX)).cloned().collect();
        let (size, grid) = (self.size.clone(), self.grid.clone());
        let overrides = Overrides { size, set, grid };
        let mut plans: Vec<Plan> = Vec::new();
        let mut problems: Vec<String> = Vec::new();
        for file in &self.files {
            let name = file.display().to_string();
            let text = match std::fs::read_to_string(context.cwd.join(file)) {
                Ok(text) => text,
                Err(why) => {
                    problems.push(format!("{name}: cannot be read: {why}"));
                    continue;
                }
            };
            let plan = experiment::parse(&name, &text, &overrides)
                .and_then(|experiment| Plan::new(experiment, &context.cwd));
            match plan {
                Ok(plan) => plans.push(plan),
                Err(Invalid(more)) => problems.extend(more.iter().map(ToString::to_string)),
            }
        }
        // What is said of the command line is said of every file.
        let mut seen = BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        if !problems.is_empty() {
            return Err(bad_input(problems.join("\n")));
        }
        for lack in lacking(context, &plans) {
            say(format_args!("Not here yet: {lack}."));
        }
        for idle in plans.iter().flat_map(|plan| &plan.experiment.idle) {
            say(idle);
        }
        Ok(plans)
    }

    /// What is asked of a cluster for these runs: `--set slurm.KEY=VALUE`.
    fn launch(&self) -> Result<Launch> {
        let mut launch = Launch::new();
        for set in self.set.iter().filter_map(|set| set.strip_prefix(PREFIX)) {
            let (key, value) = set
                .split_once('=')
                .ok_or_else(|| bad_input(format!("--set {PREFIX}{set}: allowed: KEY=VALUE")))?;
            launch.insert(key.to_owned(), value.to_owned());
        }
        Ok(launch)
    }
}

/// Data sets of the runs that are not on this machine, each once: its runs would fail as they begin. Somebody may be about
/// to fetch them, and the nodes of a cluster may have them, so it is only said.
fn lacking(context: &Context, plans: &[Plan]) -> BTreeSet<String> {
    let mut seen = Vec::new();
    let mut lacks = BTreeSet::new();
    for spec in plans.iter().flat_map(|plan| &plan.runs).map(|run| &run.spec) {
        let own = std::iter::once((spec.data.clone(), "data.root"));
        let others = spec.eval.on.iter().filter(|on| !on.is_own(&spec.data));
        for (data, key) in own.chain(others.map(|on| (on.spec(), "eval.on = NAME=DIR"))) {
            let place = (data.dataset, data.root.clone());
            if !seen.contains(&place) {
                seen.push(place);
                lacks.extend(published::lacking(&data, key, &context.home));
            }
        }
    }
    lacks
}

/// Where the runs go, with whom to work on those of this machine.
pub struct Place {
    pub slots: Vec<Slot>,
    /// The device that was asked for on the command line.
    named: Option<String>,
    /// Of a cluster's: what is asked of it.
    pub launch: Option<Launch>,
}

impl Hands {
    /// # Errors
    /// What the settings have wrong, and why the cluster would not take such runs.
    pub fn place(&self, context: &Context, asked: &Asked) -> Result<Place> {
        let workers = Workers::load(&context.home)?;
        let slots = workers.chosen(self.device.as_deref(), self.workers);
        let launch = asked.launch()?;
        // Who names workers or a device means this machine.
        let here = self.device.is_some() || self.workers.is_some();
        let named = self.device.clone();
        let default = if here { Where::Local } else { workers.launcher };
        match self.launcher.unwrap_or(default) {
            Where::Local => match launch.keys().next() {
                None => Ok(Place { slots, named, launch: None }),
                Some(key) => {
                    Err(bad_input(format!("--set {PREFIX}{key}: allowed with --launcher slurm")))
                }
            },
            Where::Slurm if here => Err(bad_input(
                "--workers and --device are for this machine: a cluster is asked with --set slurm.cap=…, slurm.gpus=…",
            )),
            Where::Slurm => {
                let lab = slurm::Settings::load(&context.home)?;
                lab.with(&launch).map_err(bad_input)?;
                // For what waits for this machine beside it, where it has room for any.
                let slots = if slots.is_empty() { vec![Slot::cluster()] } else { slots };
                Ok(Place { slots, named, launch: Some(launch) })
            }
        }
    }
}

impl Place {
    /// Asks the cluster whether it would take such runs, and the trainer whether the devices are there, before anything is
    /// queued for them. A device that `lab.toml` names and that is not there gets no worker, which is said.
    pub async fn rehearse(&mut self, context: &Context) -> Result<()> {
        if let Some(device) = &self.named {
            let absent = absent(Local::find()?.trainer(), [device.as_str()]).await;
            if let Some(absent) = absent.first() {
                return Err(bad_input(format!("--device: {absent}")));
            }
        } else if let Ok(local) = Local::find() {
            for absent in leave_out(local.trainer(), &mut self.slots).await {
                say(format_args!("No worker for a slot of lab.toml: {absent}."));
            }
        }
        let Some(launch) = &self.launch else { return Ok(()) };
        let settings = slurm::Settings::load(&context.home)?.with(launch).map_err(bad_input)?;
        let local = Local::find()?;
        match array::rehearse(&context.home, &settings, local.trainer()) {
            Err(Trouble::Unreachable(why)) => {
                say(format_args!(
                    "The scheduler gives no answer now ({why}); the runs wait until it does."
                ));
                Ok(())
            }
            Err(Trouble::Later(why)) => {
                say(format_args!(
                    "Slurm does not take them now ({why}); the runs wait until it does."
                ));
                Ok(())
            }
            answer => Ok(answer.map_err(|why| bad_input(why.to_string()))?),
        }
    }
}
