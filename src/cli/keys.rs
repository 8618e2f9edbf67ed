//! `keys`: what `--set`, `--grid` and experiment files can name.

use color_eyre::eyre::Result;

use super::{Context, Exit, FormatArg, print};
use crate::config::keys::KEYS;
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
            let default = key.default.value();
            let conditions: Vec<String> = key.applies.iter().map(ToString::to_string).collect();
            table.push([
                key.name.to_owned(),
                default.map_or_else(String::new, |value| shown(Some(&value))),
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
