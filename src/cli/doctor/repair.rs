//! `doctor --repair`, and what it says about itself.

use crate::cli::say;
use crate::journal::writer::system_clock;
use crate::lab::Home;
use crate::queue::{QueueError, rebuild};

/// Makes the run log whole again and says on stderr what that took.
pub(super) async fn repair(home: &Home) -> Result<(), QueueError> {
    let rebuilt = rebuild(home, &system_clock()).await?;
    if let Some(keeper) = &rebuilt.kept_by {
        say(format_args!(
            "{} was kept by {keeper} and is kept here from now on.",
            home.root().display()
        ));
    }
    if let Some(aside) = &rebuilt.set_aside {
        say(format_args!("The damaged run log lies in {} now.", aside.display()));
    }
    for (id, state) in &rebuilt.restored {
        say(format_args!("{id} was restored from its directory: it is {state}."));
    }
    for (path, why) in &rebuilt.skipped {
        say(format_args!("{} was passed over, as it is no whole run: {why}", path.display()));
    }
    for (path, why) in &rebuilt.damaged {
        say(format_args!("A file could not be read ({why}); it lies in {} now.", path.display()));
    }
    for id in &rebuilt.described {
        say(format_args!("{id} had no meta.json any more and has it again, from the run log."));
    }
    for path in &rebuilt.swept {
        say(format_args!("{} was left behind by a crash and is removed.", path.display()));
    }
    if rebuilt.set_aside.is_none() && rebuilt.restored.is_empty() {
        say("The run log lacks nothing.");
    }
    Ok(())
}
