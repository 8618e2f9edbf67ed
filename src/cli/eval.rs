//! `eval RUN…`.

use std::path::PathBuf;
use std::process::Stdio;

use color_eyre::eyre::{Result, WrapErr};
use serde_json::{Value, json};
use tokio::process::Command;

use super::step::StepArg;
use super::verb::Runs;
use super::{Context, Exit, FormatArg, bad_input, print, say};
use crate::config::evaluation::Evaluation;
use crate::config::keys::{self, key};
use crate::config::ranges::Kind;
use crate::queue::launcher::local::Local;
use crate::queue::locks::is_held;
use crate::queue::slots::check_device;
use crate::report::evaluations::stopped_short;
use crate::report::exact;
use crate::report::table::{Format, Table};
use crate::store::{EvaluationRow, RunId, State, Store, catch_up};

/// Evaluate runs from a checkpoint: k-NN grid, SVM, linear probe, retrieval, diagnostics.
///
/// The trainer does it, on the run's own network; what it finds becomes part of the run, stands in `show` and can be
/// tabulated with `table --metric`. A run that is training has to be paused first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab eval proximal-1a2b --what svm,linear\n         \
    instdisc-lab eval --where 'proximal state:finished' --what svm\n         \
    instdisc-lab table proximal --metric knn_top1 --metric svm_top1")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Which evaluations, of knn, svm, linear, layers, retrieval, diagnostics, finetune; without, all but finetune,
    /// which trains for minutes.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    what: Vec<String>,
    #[command(flatten)]
    step: StepArg,
    /// Another data set than the run's own, as `data.dataset` names it: transfer without fine-tuning.
    #[arg(long, value_name = "DATASET")]
    on: Option<String>,
    /// Where that data set lies.
    #[arg(long, value_name = "DIR", requires = "on")]
    root: Option<PathBuf>,
    /// `cpu`, `cuda:0`, …
    #[arg(long, value_name = "D", default_value = "cpu", value_parser = device)]
    device: String,
    #[command(flatten)]
    format: FormatArg,
}

/// As a worker takes it; `cuda` is the first.
fn device(text: &str) -> Result<String, String> {
    check_device(if text == "cuda" { "cuda:0" } else { text })
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let names = self.evaluations()?;
        self.check_data_set()?;
        let store = Store::open_existing(&context.home).await?;
        let ids = self.runs.ids(&context.home, &store).await?;
        let mut table = Table::new(["run", "step", "metric", "value"]).right(&["step", "value"]);
        let mut found = Vec::new();
        let mut troubles = Vec::new();
        for id in &ids {
            let before = store.evaluations(id).await?;
            let run = store.run(id).await?;
            let may_begin = run.state == State::Queued || run.state.is_active();
            if run.launch.is_some() && may_begin {
                // A lock on a node may not be seen from here, and two must never write one journal.
                let state = run.state;
                troubles
                    .push(format!("{id}: is {state} on a cluster: evaluate it once it has ended"));
                continue;
            }
            if is_held(&context.home.run(id).lock())? {
                let cure = format!("pause it first (`instdisc-lab pause {id}`)");
                troubles.push(format!("{id}: is being trained: {cure}"));
                continue;
            }
            // The other runs are evaluated all the same.
            if let Err(why) = self.evaluate(context, id, &names).await {
                troubles.push(format!("{id}: {why}"));
            }
            catch_up(&store, id, &context.home.run(id)).await?;
            let new = |row: &EvaluationRow| !before.contains(row);
            for row in store.evaluations(id).await?.into_iter().filter(new) {
                if let Some(short) = stopped_short(&row) {
                    say(format_args!("{id}: {short}"));
                }
                let value = four_digits(row.value.0);
                table.push([id.to_string(), row.step.to_string(), row.metric.clone(), value]);
                found.push(finding(id, &row));
            }
        }
        // A table of nothing beside an error would look like an answer.
        if !found.is_empty() || troubles.is_empty() {
            print(&match self.format.format {
                Format::Json => format!("{:#}\n", Value::from(found)),
                format => table.render(format),
            })?;
        }
        if troubles.is_empty() { Ok(Exit::Done) } else { Err(bad_input(troubles.join("\n"))) }
    }

    fn evaluations(&self) -> Result<String> {
        for name in &self.what {
            if Evaluation::named(name).is_none() {
                let allowed = Evaluation::ALL.map(Evaluation::name).join(", ");
                return Err(bad_input(format!("--what: found {name}, allowed: {allowed}")));
            }
        }
        let usual = || Evaluation::usual().map(|it| it.name().to_owned()).collect();
        Ok(if self.what.is_empty() { usual() } else { self.what.clone() }.join(","))
    }

    fn check_data_set(&self) -> Result<()> {
        let Some(name) = &self.on else { return Ok(()) };
        let Some(Kind::Choice(known)) = key("data.dataset").map(|key| key.kind) else {
            return Ok(());
        };
        if known.contains(&name.as_str()) {
            return Ok(());
        }
        let nearest = keys::nearest(name, known.iter().copied());
        let nearest = nearest.map(|name| format!(", nearest: {name}")).unwrap_or_default();
        Err(bad_input(format!("--on: found {name}, allowed: {}{nearest}", known.join(", "))))
    }

    /// Has the trainer do it; what it says goes to stderr.
    async fn evaluate(&self, context: &Context, id: &RunId, names: &str) -> Result<()> {
        say(format_args!("{id}: {}", names.replace(',', ", ")));
        let local = Local::find()?;
        let mut command = Command::new(local.trainer());
        command.arg(context.home.run(id).path()).args(["--evaluate", names]);
        command.args(["--device", &self.device]);
        if let Some(step) = self.step.of(&context.home.run(id))? {
            command.args(["--step", &step.to_string()]);
        }
        if let Some(on) = &self.on {
            command.args(["--on", on]);
        }
        if let Some(root) = &self.root {
            command.arg("--root").arg(context.cwd.join(root));
        }
        let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = output.spawn().wrap_err_with(|| {
            format!("no trainer at {}: build it (`make build`)", local.trainer().display())
        })?;
        let output = output.wait_with_output().await?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or("the trainer was killed");
        Err(bad_input(last.trim_start_matches("instdisc-train: ").to_owned()))
    }
}

fn four_digits(x: f64) -> String {
    if x.is_finite() { format!("{x:.4}") } else { exact(x) }
}

fn finding(run: &RunId, row: &EvaluationRow) -> Value {
    json!({
        "run": run, "step": row.step, "metric": row.metric, "value": row.value, "settings": row.settings,
    })
}
