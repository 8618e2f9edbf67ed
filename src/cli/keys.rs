//! `keys`: what `--set`, `--grid` and experiment files can name.

use color_eyre::eyre::Result;

use super::{Context, Exit, FormatArg, print};
use crate::config::keys::KEYS;
use crate::config::ranges::Default;
use crate::report::shown;
use crate::report::table::Table;

/// List the keys of a specification with type, default and range.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab keys --format md")]
pub struct Args {
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub async fn run(self, _context: &Context) -> Result<Exit> {
        let mut table = Table::new(["key", "default", "unit", "allowed", "where", "what"]);
        for key in KEYS {
            let default = match key.default {
                Default::Under(values) => {
                    let one = |(dataset, value): &(&str, u64)| match *dataset {
                        "" => format!("else {value}"),
                        dataset => format!("{dataset} {value}"),
                    };
                    values.iter().map(one).collect::<Vec<_>>().join(", ")
                }
                plain => plain.value().map_or_else(String::new, |value| shown(Some(&value))),
            };
            let conditions: Vec<String> = key.applies.iter().map(ToString::to_string).collect();
            table.push([
                key.name.to_owned(),
                default,
                key.unit.to_owned(),
                key.kind.words(),
                conditions.join(", "),
                key.help.to_owned(),
            ]);
        }
        print(&table.render(self.format.format))?;
        Ok(Exit::Done)
    }
}
