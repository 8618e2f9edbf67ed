//! `--step`: which of a run's checkpoints.

use std::str::FromStr;

use color_eyre::eyre::Result;

use super::bad_input;
use crate::lab::RunDir;
use crate::saved;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct StepArg {
    /// Step of the checkpoint, or `selected`: the one that the images of `data.held_out` think best of; the newest
    /// without.
    #[arg(long, value_name = "N|selected")]
    step: Option<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Number(u64),
    Selected,
}

impl FromStr for Step {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Step, Self::Err> {
        match text {
            "selected" => Ok(Step::Selected),
            number => number.parse().map(Step::Number).map_err(|_| "allowed: a step, or selected"),
        }
    }
}

impl StepArg {
    /// The step that is meant of the run in `dir`; none for its newest checkpoint.
    ///
    /// # Errors
    /// `selected` of a run that selects nothing.
    pub fn of(self, dir: &RunDir) -> Result<Option<u64>> {
        Ok(match self.step {
            None => None,
            Some(Step::Number(step)) => Some(step),
            Some(Step::Selected) => {
                Some(saved::selected(dir).map_err(|why| bad_input(why.to_string()))?)
            }
        })
    }
}
