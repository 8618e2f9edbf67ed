//! `curve RUN METRIC`.

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use super::verb::resolve;
use super::{Context, Exit, FormatArg, bad_input, print};
use crate::config::keys;
use crate::journal::event::Number;
use crate::report::exact;
use crate::report::table::{Format, Table};
use crate::store::{CurvePoint, Store};

/// Print every point of a run's metric.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab curve proximal-1a2b3c4d knn_top1 --format csv")]
pub struct Args {
    /// Run id, or a beginning of it that fits no other.
    run: String,
    /// Such as `loss`, `loss/instance`, `knn_top1`.
    metric: String,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let store = Store::open_readonly(&context.home).await?;
        let id = resolve(&context.home, &store, &self.run).await?;
        let metrics = store.metrics(&id).await?;
        if !metrics.contains(&self.metric) {
            return Err(unknown(&id, &self.metric, &metrics));
        }
        let points = store.curve(&id, &self.metric, None).await?;
        let text = match self.format.format {
            Format::Json => format!("{}\n", points.iter().map(point).collect::<Value>()),
            format => {
                let columns = ["step", "epoch", "sec", "value"];
                let mut table = Table::new(columns).right(&columns);
                for CurvePoint { step, epoch, sec, value } in points {
                    table.push([
                        step.to_string(),
                        epoch.to_string(),
                        sec.to_string(),
                        exact(value),
                    ]);
                }
                table.render(format)
            }
        };
        print(&text)?;
        Ok(Exit::Done)
    }
}

fn point(point: &CurvePoint) -> Value {
    json!({"step": point.step, "epoch": point.epoch, "sec": point.sec, "value": Number(point.value)})
}

/// A metric that the run has not.
pub(super) fn unknown(id: &str, metric: &str, metrics: &[String]) -> color_eyre::Report {
    if metrics.is_empty() {
        return bad_input(format!("{id} has no points yet"));
    }
    let nearest = keys::nearest(metric, metrics.iter().map(String::as_str));
    let nearest = nearest.map(|name| format!(", nearest: {name}")).unwrap_or_default();
    bad_input(format!("{id} has no metric {metric}: allowed: {}{nearest}", metrics.join(", ")))
}
