//! `worker`.

use std::io::Write;

use color_eyre::eyre::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::watch::NO_SLOT;
use super::{Context, Exit, bad_input, say};
use crate::journal::writer::system_clock;
use crate::lab::Home;
use crate::queue::launcher::Launcher;
use crate::queue::launcher::family::adopt_orphans;
use crate::queue::launcher::local::Local;
use crate::queue::launcher::slurm::Slurm;
use crate::queue::slots::{SLURM, check_device};
use crate::queue::worker::{Left, Stay, Worker};
use crate::queue::{Slot, Where, Workers, slurm};
use crate::store::{Store, StoreError, location};

/// Work the queue in the foreground. Ended with Ctrl-C it leaves its trainer at work, for the next worker to adopt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab worker --device cuda:0 --until-empty")]
pub struct Args {
    /// `cpu`, `cuda:0`, …; its first free slot is taken.
    #[arg(long, value_name = "D", value_parser = check_device)]
    device: Option<String>,
    /// `slurm`: hand what is queued for a cluster to it.
    #[arg(long, value_enum, conflicts_with = "device")]
    launcher: Option<Where>,
    /// Leave once the queue is empty.
    #[arg(long)]
    until_empty: bool,
    /// Only look after what is at work on the slot already.
    #[arg(long, hide = true, conflicts_with = "until_empty")]
    adopt_only: bool,
    /// This slot and no other.
    #[arg(long, hide = true, value_parser = parse_slot, conflicts_with_all = ["device", "launcher"])]
    slot: Option<Slot>,
    /// Workers that were started together with this one, itself among them.
    #[arg(long, hide = true)]
    share: Option<u32>,
    /// Leave the session of whoever started it, so that it outlives the terminal.
    #[arg(long, hide = true)]
    detached: bool,
}

fn parse_slot(name: &str) -> Result<Slot, String> {
    Slot::parse(name).ok_or_else(|| format!("found {name}, allowed: cpu-0, cuda:0-0, …"))
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        if self.detached {
            // Refused only to the leader of a group, which has a session of its own already.
            let _ = rustix::process::setsid();
        }
        adopt_orphans();
        let settings = Workers::load(&context.home)?;
        let stay = match (self.until_empty, self.adopt_only) {
            (_, true) => Stay::AdoptOnly,
            (true, _) => Stay::UntilEmpty,
            _ => Stay::Forever,
        };
        // It may wait for the first runs, but in a lab that somebody has made.
        if !context.home.root().is_dir() {
            return Err(StoreError::Missing { path: location(&context.home)? }.into());
        }
        let slots = self.slots(&settings);
        if slots.is_empty() {
            return Err(bad_input(NO_SLOT));
        }
        let store = Store::open(&context.home).await?;
        for slot in slots {
            let worker = Worker {
                home: context.home.clone(),
                store: store.clone(),
                slot: slot.clone(),
                launcher: launcher(&context.home, &slot)?,
                share: self.share.unwrap_or(1),
                grace: settings.grace(),
                clock: system_clock(),
                say: Box::new(log),
            };
            // Being dropped anywhere is no worse than being killed there, which it has to stand anyway.
            let left = tokio::select! {
                left = worker.work(stay) => left?,
                () = asked_to_end()? => {
                    say(format_args!("The worker of {slot} leaves; a trainer at work goes on."));
                    let signed_off = store.forget_worker(&slot.to_string()).await;
                    worker.hand_over().await?;
                    signed_off?;
                    return Ok(Exit::Interrupted);
                }
            };
            match left {
                Left::SlotTaken => {}
                Left::Idle | Left::Drained => return Ok(Exit::Done),
            }
        }
        // Somebody else works, which is all that a detached worker was started for.
        if self.detached {
            Ok(Exit::Done)
        } else {
            Err(bad_input("every slot has a worker already"))
        }
    }

    fn slots(&self, settings: &Workers) -> Vec<Slot> {
        match (&self.slot, self.launcher) {
            (Some(slot), _) => vec![slot.clone()],
            (None, Some(Where::Slurm)) => vec![Slot::cluster()],
            _ => settings.chosen(self.device.as_deref(), None),
        }
    }
}

fn launcher(home: &Home, slot: &Slot) -> Result<Box<dyn Launcher>> {
    let local = Local::find()?;
    if slot.device != SLURM {
        return Ok(Box::new(local));
    }
    let settings = slurm::Settings::load(home)?;
    Ok(Box::new(Slurm::new(home.clone(), local.trainer().to_owned(), settings)?))
}

/// One line, with the time: a detached worker's standard error is a log. Where it takes nothing, on a disk that is full,
/// work goes on without.
fn log(words: &str) {
    let _ = writeln!(std::io::stderr(), "{} {words}", chrono::Local::now().format("%F %T"));
}

fn asked_to_end() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
