//! Requests of the screens in the words of the queue: what a verb does is decided there, not here.

use std::path::Path;

use crate::lab::Home;
use crate::queue::launcher::devices::{self, Absent};
use crate::queue::launcher::local::Local;
use crate::queue::{
    Answer, Desk, Duty, Fate, Manner, Plan, QueueError, Root, Slot, Where, Workers, ensure_workers,
};
use crate::store::{Launch, RunId, State, Store};
use crate::tui::effect::Request;

use super::experiments;

/// What the person is told.
pub struct Told {
    pub done: bool,
    /// Nothing is other than it was.
    pub void: bool,
    pub text: String,
}

impl Told {
    fn yes(text: impl Into<String>) -> Self {
        Self { done: true, void: false, text: text.into() }
    }

    pub fn no(text: impl Into<String>) -> Self {
        Self { done: false, void: true, text: text.into() }
    }

    /// Something was done, and something was not.
    fn partly(text: impl Into<String>) -> Self {
        Self { done: false, void: false, text: text.into() }
    }
}

/// Carries out a request and says what became of it.
pub async fn carry_out(home: &Home, store: Store, cwd: &Path, request: Request) -> Told {
    let desk = Desk::new(home.clone(), store, "screen");
    match request {
        Request::Queue { wanted, left_out } => {
            let plan = match experiments::planned(cwd, &wanted) {
                Ok(plan) => Plan { left_out, ..plan },
                Err(why) => return Told::no(why.lines().next().unwrap_or_default()),
            };
            let launch = match Workers::load(home) {
                Ok(workers) => (workers.launcher == Where::Slurm).then(Launch::new),
                Err(error) => return Told::no(error.to_string()),
            };
            match desk.enqueue(&plan, &Manner { launch, ..Manner::default() }).await {
                Ok(queued) => {
                    let new =
                        queued.iter().filter(|run| !matches!(run.fate, Fate::Shared(_))).count();
                    let shared = queued.len() - new;
                    let name = &plan.experiment.name;
                    let there = match shared {
                        1 => format!("{name}: its one run is there already"),
                        _ => format!("{name}: all {shared} runs are there already"),
                    };
                    let kept = queued.iter().filter(|run| run.root == Root::Kept).count();
                    let mut text = match (new, shared) {
                        (0, _) => there,
                        (n, 0) => format!("{name}: {n} {} queued", runs(n)),
                        (n, s) => format!("{name}: {n} {} queued, {s} there already", runs(n)),
                    };
                    if 0 < kept {
                        text.push_str(&format!("; {kept} read their files from where they did"));
                    }
                    with_workers(&desk, Told::yes(text)).await
                }
                Err(error) => Told::no(error.to_string()),
            }
        }
        Request::Pause(ids) => {
            summed_up("pause", answers(ids, async |id| desk.pause(id).await).await)
        }
        Request::Cancel(ids) => {
            summed_up("cancel", answers(ids, async |id| desk.cancel(id).await).await)
        }
        Request::Archive { runs, archived } => {
            let word = if archived { "archived" } else { "no longer archived" };
            each(&runs, word, async |id| desk.archive(id, archived).await).await
        }
        Request::Tag { runs, add, remove } => {
            each(&runs, "tagged", async |id| desk.tag(id, &add, &remove).await).await
        }
        Request::Note { runs, text } => {
            each(&runs, "noted", async |id| desk.note(id, &text).await).await
        }
        Request::Remove(ids) => {
            let remove = async |id: &str| {
                Ok(match desk.remove(id).await? {
                    // The desk speaks of the command line's way back; here it is a key.
                    Answer::Done(_) => Answer::Done("is in the trash; undo brings it back".into()),
                    other => other,
                })
            };
            summed_up("into the trash", answers(ids, remove).await)
        }
        Request::Restore(ids) => {
            summed_up("out of the trash", answers(ids, async |id| desk.unremove(id).await).await)
        }
        Request::Order(priorities) => {
            for (at, (id, priority)) in priorities.iter().enumerate() {
                if let Err(error) = desk.priority(id, *priority).await {
                    return Told { void: at == 0, ..Told::no(format!("{id}: {error}")) };
                }
            }
            Told::yes("the queue is in another order")
        }
        Request::AddWorker => add_worker(home).await,
        Request::Drain(slot) => match desk.drain(slot.as_deref()).await {
            Ok(()) => {
                let who =
                    slot.map_or("every worker".into(), |slot| format!("the worker of {slot}"));
                Told::yes(format!("{who} leaves after its run"))
            }
            Err(error) => Told::no(error.to_string()),
        },
        Request::Undo(undo) => {
            for (at, request) in undo.requests.into_iter().enumerate() {
                let store = desk.store.clone();
                let told = Box::pin(carry_out(home, store, cwd, request)).await;
                if !told.done {
                    return Told { void: told.void && at == 0, ..told };
                }
            }
            Told::yes(format!("undone: {}", undo.what))
        }
        Request::Resume(ids) => {
            let answers = answers(ids, async |id| resume_or_retry(&desk, id).await).await;
            with_workers(&desk, summed_up("resume", answers)).await
        }
    }
}

/// What is said of each run; all are asked.
async fn answers(
    ids: Vec<RunId>,
    ask: impl AsyncFn(&str) -> Result<Answer, QueueError>,
) -> Vec<(RunId, Result<Answer, QueueError>)> {
    let mut answers = Vec::new();
    for id in ids {
        let answer = ask(&id).await;
        answers.push((id, answer));
    }
    answers
}

/// An edit of each run: all are tried, the first that fails is quoted.
async fn each(
    ids: &[RunId],
    word: &str,
    edit: impl AsyncFn(&str) -> Result<(), QueueError>,
) -> Told {
    let mut refused = None;
    let mut done = 0;
    for id in ids {
        match edit(id).await {
            Ok(()) => done += 1,
            Err(error) => drop(refused.get_or_insert(format!("{id}: {error}"))),
        }
    }
    match (refused, ids) {
        (Some(why), _) => Told { void: done == 0, ..Told::no(why) },
        (None, [one]) => Told::yes(format!("{one} is {word}")),
        (None, many) => Told::yes(format!("{} runs are {word}", many.len())),
    }
}

/// One key for both: a paused run resumes, one that ended otherwise is tried again.
async fn resume_or_retry(desk: &Desk, id: &str) -> Result<Answer, QueueError> {
    match desk.store.run(id).await?.state {
        State::Failed | State::Cancelled | State::Lost => desk.retry(id, false).await,
        _ => desk.resume(id).await,
    }
}

/// A worker for the first slot of the lab that has none; where all have one, for the next slot of the last device.
async fn add_worker(home: &Home) -> Told {
    let slots = match Workers::load(home) {
        Ok(workers) => workers.chosen(None, None),
        Err(error) => return Told::no(error.to_string()),
    };
    let (slots, absent) = there(slots).await;
    if let Some(absent) = absent.filter(|_| slots.is_empty()) {
        return Told::no(format!("lab.toml: {absent}"));
    }
    let device = slots.last().map_or("cpu".to_owned(), |slot| slot.device.clone());
    let more = (0..64).map(|index| Slot::new(&device, index));
    for slot in slots.into_iter().chain(more) {
        match ensure_workers(home, std::slice::from_ref(&slot), Duty::UntilEmpty) {
            Ok(started) if started.is_empty() => {}
            Ok(_) => {
                return Told::yes(format!(
                    "a worker for {slot} starts; it leaves when nothing waits"
                ));
            }
            Err(error) => return Told::no(format!("no worker could be started: {error}")),
        }
    }
    Told::no("every slot has its worker")
}

/// Those of `slots` whose device is there, and the first device that is not: a worker of it would leave at once.
async fn there(mut slots: Vec<Slot>) -> (Vec<Slot>, Option<Absent>) {
    let Ok(local) = Local::find() else { return (slots, None) };
    let absent = devices::leave_out(local.trainer(), &mut slots).await;
    (slots, absent.into_iter().next())
}

fn runs(n: usize) -> &'static str {
    if n == 1 { "run" } else { "runs" }
}

/// Something is queued now: somebody must work on it.
async fn with_workers(desk: &Desk, told: Told) -> Told {
    if !told.done {
        return told;
    }
    let slots = match Workers::load(&desk.home) {
        Ok(workers) => workers.chosen(None, None),
        Err(error) => return Told::partly(format!("{}, but {error}", told.text)),
    };
    let (slots, absent) = there(slots).await;
    match (desk.staff(&slots).await, absent) {
        (Ok(_), None) => told,
        (Ok(_), Some(absent)) => Told::partly(format!("{}, but lab.toml: {absent}", told.text)),
        (Err(error), _) => Told::partly(format!("{}, but {error}", told.text)),
    }
}

/// One sentence about what may have been many runs; the first refusal is quoted.
fn summed_up(verb: &str, answers: Vec<(RunId, Result<Answer, QueueError>)>) -> Told {
    let n = answers.len();
    let mut done = Vec::new();
    let mut refused = None;
    for (id, answer) in answers {
        match answer {
            Ok(Answer::Done(words) | Answer::Already(words)) => done.push(format!("{id} {words}")),
            Ok(Answer::Refused(words)) => drop(refused.get_or_insert(format!("{id} {words}"))),
            Err(error) => drop(refused.get_or_insert(format!("{id}: {error}"))),
        }
    }
    match (done.as_slice(), refused) {
        ([one], None) => Told::yes(one.clone()),
        (_, None) => Told::yes(format!("{verb}: asked for {n} runs")),
        ([], Some(why)) => Told::no(why),
        (some, Some(why)) => Told::partly(format!("{verb}: {} of {n} runs; {why}", some.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::effect::{Undo, Wanted};

    #[test]
    fn what_is_deleted_comes_back_by_undo() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("lab"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&home).await.unwrap();
            let text = "name = 'demo'\n[base]\ndata.dataset = 'shapes'\n[grid]\nseed = [0, 1]\n";
            let wanted = Wanted { text: Some(text.into()), ..Wanted::default() };
            let plan = experiments::planned(dir.path(), &wanted).unwrap();
            let desk = Desk::new(home.clone(), store.clone(), "screen");
            desk.enqueue(&plan, &Manner::default()).await.unwrap();
            let ids = async || -> Vec<RunId> {
                store.runs().await.unwrap().into_iter().map(|row| row.id).collect()
            };
            let all = ids().await;
            let ask = async |request| carry_out(&home, store.clone(), dir.path(), request).await;
            let told = ask(Request::Remove(vec![all[0].clone()])).await;
            assert_eq!(told.text, format!("{} is in the trash; undo brings it back", all[0]));
            assert_eq!(ids().await, all[1..]);
            let requests = vec![Request::Restore(vec![all[0].clone()])];
            let told = ask(Request::Undo(Undo { what: "delete".into(), requests })).await;
            assert_eq!((told.done, told.text.as_str()), (true, "undone: delete"));
            assert_eq!(ids().await.len(), 2);
            let requests = vec![Request::Restore(vec!["demo-00000000".into()])];
            let told = ask(Request::Undo(Undo { what: "delete".into(), requests })).await;
            assert!(!told.done && told.void, "{}", told.text);
        });
    }

    #[test]
    fn many_answers_make_one_sentence() {
        let done = |id: &str| (id.to_owned(), Ok(Answer::Done("is paused".into())));
        let refused = || ("c".to_owned(), Ok(Answer::Refused("is finished".into())));
        assert_eq!(summed_up("pause", vec![done("a")]).text, "a is paused");
        assert_eq!(summed_up("pause", vec![done("a"), done("b")]).text, "pause: asked for 2 runs");
        let told = summed_up("pause", vec![done("a"), refused()]);
        assert_eq!((told.done, told.text.as_str()), (false, "pause: 1 of 2 runs; c is finished"));
        assert!(!told.void && summed_up("pause", vec![refused()]).void);
    }
}
