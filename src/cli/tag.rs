//! `tag RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit, bad_input};
use crate::queue::{Answer, Desk};

/// Add and remove tags.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab tag proximal-3f2a --add keep --remove draft")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    #[arg(long = "add", value_name = "T", value_parser = parse_tag)]
    add: Vec<String>,
    #[arg(long = "remove", value_name = "T", value_parser = parse_tag)]
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

/// A tag is one word, so that a filter can name it.
fn parse_tag(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == ',';
    if text.is_empty() || text.contains(odd) {
        return Err(format!("found {text:?}, allowed: a word without spaces, quotes and commas"));
    }
    Ok(text.to_owned())
}
