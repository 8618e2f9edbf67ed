//! `tag RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit, bad_input};
use crate::filter;
use crate::queue::{Answer, Desk};

/// Add and remove tags.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab tag proximal-3f2a --add keep --remove draft")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// A word that a filter can name; may come several times.
    #[arg(long = "add", value_name = "T", value_parser = filter::tag)]
    add: Vec<String>,
    /// A tag to take away; may come several times.
    #[arg(long = "remove", value_name = "T")]
    remove: Vec<String>,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("tag").await?;
        if self.add.is_empty() && self.remove.is_empty() {
            return Err(bad_input(
                "found neither --add nor --remove, allowed: at least one of them",
            ));
        }
        let ask = async |desk: &Desk, id: &str| {
            desk.tag(id, &self.add, &self.remove).await?;
            let tags = desk.store.run(id).await?.tags;
            Ok(Answer::Done(match tags.as_slice() {
                [] => "has no tags".to_owned(),
                tags => format!("is tagged {}", tags.join(", ")),
            }))
        };
        ask_each(&desk, &self.runs, ask).await
    }
}
