//! `show RUN`.

use std::fs;

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use super::verb::resolve;
use super::{Context, Exit, FormatArg, print};
use crate::config::keys::{self, KEYS};
use crate::journal::cause::Cause;
use crate::journal::event::Number;
use crate::journal::metric;
use crate::report::evaluations::{by_age, newest, stopped_short};
use crate::report::table::{Format, Table};
use crate::report::{digits, runs, shown};
use crate::store::{EvaluationRow, RunId, RunRow, State, Store, Summary};

/// Show everything known about a run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab show proximal-1a2b --format json")]
pub struct Args {
    /// Run id, or a beginning of it that fits no other.
    run: String,
    #[command(flatten)]
    format: FormatArg,
}

/// Classes that one is most often taken for.
const MOST_CONFUSED: usize = 3;

/// Lines of a failed run's standard error: long enough for what went wrong, short enough to read.
const LAST_LINES: usize = 20;

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let store = Store::open_readonly(&context.home).await?;
        let id = resolve(&context.home, &store, &self.run).await?;
        let run = store.run(&id).await?;
        let text = match self.format.format {
            Format::Json => format!("{:#}\n", all(context, &store, &id, &run).await?),
            Format::Table => {
                let found = store.evaluations(&id).await?;
                let table = table(context, &store, &run, &found).await?;
                let mut text = table.render(Format::Table);
                for (heading, table) in classes(&found).into_iter().chain(by_age(&found)) {
                    text.push_str(&format!("\n{heading}:\n{}", table.render(Format::Table)));
                }
                if run.state == State::Failed || run.state == State::Lost {
                    text.push_str(&last_words(context, &id));
                }
                text
            }
            format => {
                let found = store.evaluations(&id).await?;
                table(context, &store, &run, &found).await?.render(format)
            }
        };
        print(&text)?;
        Ok(Exit::Done)
    }
}

/// The form of `runs`, and what only one run's page has room for.
async fn all(context: &Context, store: &Store, id: &RunId, run: &RunRow) -> Result<Value> {
    let mut value = runs::json(run);
    value["cause"] = json!(run.reason.as_deref().and_then(Cause::of).map(Cause::name));
    value["cure"] = json!(cure(run));
    value["path"] = json!(context.home.run(id).path());
    value["history"] = timed(json!(store.history(id).await?));
    value["attempts"] = timed(json!(store.attempts(id).await?));
    value["checkpoints"] = timed(json!(store.checkpoints(id).await?));
    value["evaluations"] = timed(json!(store.evaluations(id).await?));
    value["warnings"] = timed(json!(store.warnings(id).await?));
    Ok(value)
}

/// Times in words, as everywhere in JSON.
fn timed(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timed(item.take())),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                *field = match field.as_i64() {
                    Some(ms) if name == "at" || name.ends_with("_at") => runs::time(ms).into(),
                    _ => timed(field.take()),
                };
            }
        }
        _ => {}
    }
    value
}

async fn table(
    context: &Context,
    store: &Store,
    run: &RunRow,
    evaluations: &[EvaluationRow],
) -> Result<Table> {
    let mut table = Table::new(["what", "value"]);
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            table.push([name.to_owned(), value]);
        }
    };
    let progress = runs::progress(run);
    line("run", run.id.clone());
    line("folder", context.home.run(&run.id).path().display().to_string());
    line("state", run.state.to_string());
    line("why", run.reason.clone().unwrap_or_default());
    line("cure", cure(run).unwrap_or_default().to_owned());
    line("experiments", run.experiments.join(", "));
    line("varied", runs::varied(run));
    line("tags", run.tags.join(", "));
    line("note", run.note.clone());
    line("attempt", run.attempt.to_string());
    line("device", run.device.clone().unwrap_or_default());
    let attempts = store.attempts(&run.id).await?;
    if let Some((host, job)) = attempts.last().and_then(|it| it.host.as_ref().zip(it.job.as_ref()))
    {
        line("node", format!("{host}, job {job}"));
    }
    line("epoch", format!("{} of {}", progress.epoch, progress.epochs));
    line("step", format!("{} of {}", progress.step, progress.steps));
    line("active", format!("{:.1} s", progress.sec));
    line("queued", runs::time(run.queued_at));
    line("started", run.started_at.map(runs::time).unwrap_or_default());
    line("ended", run.ended_at.map(runs::time).unwrap_or_default());
    for key in KEYS {
        if let Some(value) = keys::value(&run.spec, key.name) {
            line(key.name, shown(Some(value)));
        }
    }
    for (name, metric) in &run.metrics {
        line(name, measured(metric));
    }
    if let Some(last) = store.checkpoints(&run.id).await?.last() {
        line("checkpoint", format!("step {} ({})", last.step, last.file));
    }
    for short in newest(evaluations).filter_map(stopped_short) {
        line("warning", short);
    }
    for warning in store.warnings(&run.id).await? {
        line("warning", format!("step {}: {}", warning.step, warning.message));
    }
    for change in store.history(&run.id).await? {
        let why = change.reason.map(|why| format!(": {why}")).unwrap_or_default();
        line(&runs::time(change.at), format!("{} by {}{why}", change.to, change.by));
    }
    Ok(table)
}

/// `41.20 %, best 43.00 % at step 80`.
fn measured(summary: &Summary) -> String {
    let unit = metric::written_unit(&summary.unit);
    let value = |x: f64| format!("{} {unit}", digits(x)).trim_end().to_owned();
    let Number(last) = summary.last;
    let best = summary.best.zip(summary.best_step);
    let best = best.map(|(x, step)| format!(", best {} at step {step}", value(x)));
    format!("{}{}", value(last), best.unwrap_or_default())
}

/// Of each class how many of its test images the newest confusion matrix has right, and what it takes the others for.
fn classes(evaluations: &[EvaluationRow]) -> Option<(String, Table)> {
    let with_matrix = evaluations.iter().filter(|row| row.settings.contains_key("confusion"));
    let row = with_matrix.max_by_key(|row| row.step)?;
    let read = |key: &str| row.settings.get(key).cloned().unwrap_or_default();
    let names: Vec<String> = serde_json::from_value(read("classes")).ok()?;
    let matrix: Vec<Vec<u32>> = serde_json::from_value(read("confusion")).ok()?;
    let mut table = Table::new(["class", "right (%)", "taken for"]).right(&["right (%)"]);
    for (class, counts) in matrix.iter().enumerate() {
        let all = f64::from(counts.iter().sum::<u32>().max(1));
        let percent = |n: u32| 100.0 * f64::from(n) / all;
        let mut others: Vec<(usize, u32)> = counts.iter().copied().enumerate().collect();
        others.retain(|&(other, n)| other != class && 0 < n);
        // Stable: of equals the first.
        others.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        let taken = others
            .iter()
            .take(MOST_CONFUSED)
            .filter_map(|&(other, n)| Some(format!("{} {:.1} %", names.get(other)?, percent(n))));
        let right = counts.get(class).map_or_else(String::new, |&n| format!("{:.1}", percent(n)));
        let taken = taken.collect::<Vec<_>>().join(", ");
        table.push([names.get(class)?.clone(), right, taken]);
    }
    Some((format!("{} of each class, step {}", row.metric, row.step), table))
}

/// What to do about a run that ended badly.
fn cure(run: &RunRow) -> Option<&'static str> {
    let bad = matches!(run.state, State::Failed | State::Lost);
    Some(Cause::of(run.reason.as_deref().filter(|_| bad)?)?.cure())
}

/// The end of what the trainer said before it died.
fn last_words(context: &Context, id: &str) -> String {
    let path = context.home.run(id).stderr();
    // Best effort: a run that never started has no file.
    let bytes = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let last =
        last.iter().map(|line| format!("  {}\n", line.chars().map(clean).collect::<String>()));
    let last: String = last.collect();
    if last.is_empty() { last } else { format!("\nEnd of {}:\n{last}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::Better;

    #[test]
    fn a_plain_number_has_no_unit() {
        let of = |unit: &str, best: Option<f64>| {
            let (unit, last) = (unit.to_owned(), Number(0.0003));
            let (last_step, better) = (8, Better::Higher);
            measured(&Summary { last, last_step, best, best_step: best.map(|_| 7), unit, better })
        };
        assert_eq!(of("1", None), "0.0003000");
        assert_eq!(of("%", Some(43.0)), "0.0003000 %, best 43.00 % at step 7");
    }
}
