//! The queue screen's own state: the cursor over what is at work and what waits.

use crate::store::model::RunRow;
use crate::tui::effect::{Ask, Effect, Request};
use crate::tui::event::{Worker, Working};
use crate::tui::keys::Action;

use super::cursor::moved;
use super::forecast::{Forecast, forecast, priorities, waiting};
use super::{App, Tab};

impl App {
    /// Runs at work, then waiting ones in their order.
    pub fn queue(&self) -> Vec<&RunRow> {
        let active = self.rows.iter().filter(|row| row.state.is_active());
        active.chain(waiting(&self.rows)).collect()
    }

    /// The run under the queue's cursor.
    pub fn queued_here(&self) -> Option<&RunRow> {
        let queue = self.queue();
        queue.get(self.queue_cursor.min(queue.len().saturating_sub(1))).copied()
    }

    /// Workers that take runs.
    pub fn hands(&self) -> usize {
        self.workers.iter().filter(|worker| worker.state.takes_runs()).count()
    }

    pub fn forecast(&self) -> Forecast {
        forecast(&self.rows, self.hands())
    }

    pub(super) fn act_in_queue(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let last = self.queue().len().saturating_sub(1);
        let at = self.queue_cursor.min(last);
        if let Some(to) = moved(action, at, last, 10) {
            self.queue_cursor = to;
        }
        match action {
            Action::Earlier => self.reorder(-1, effects),
            Action::Later => self.reorder(1, effects),
            Action::ToFront => self.reorder(isize::MIN / 2, effects),
            Action::AddWorker => ask(Request::AddWorker, effects),
            Action::Drain => match self.worker_here().map(|worker| worker.slot.clone()) {
                Some(slot) => ask(Request::Drain(Some(slot)), effects),
                None => self.say(false, "no worker has this run: put the cursor on one at work"),
            },
            Action::DrainAll => ask(Request::Drain(None), effects),
            Action::Open | Action::Inspect => {
                if let Some(id) = self.queued_here().map(|row| row.id.clone()) {
                    self.table.select(&id);
                    self.tab = Tab::Run;
                }
            }
            Action::Queue => self.open_picker(effects),
            Action::Pause | Action::Resume | Action::Cancel => self.do_verb(action, effects),
            Action::Back => self.tab = Tab::Runs,
            _ => {}
        }
    }

    fn worker_here(&self) -> Option<&Worker> {
        let id = &self.queued_here()?.id;
        self.workers.iter().find(|worker| worker.has(id))
    }

    /// Moves the waiting run under the cursor by places among those that wait.
    fn reorder(&mut self, by: isize, effects: &mut Vec<Effect>) {
        let mut order = waiting(&self.rows);
        let here = self.queued_here().map(|row| row.id.as_str());
        let Some(from) = order.iter().position(|row| Some(row.id.as_str()) == here) else {
            return self.say(false, "only what waits can be put into another order");
        };
        let to = from.saturating_add_signed(by).min(order.len() - 1);
        if to == from {
            return;
        }
        let moved = order.remove(from);
        order.insert(to, moved);
        let changed = priorities(&order);
        let before = |(id, _): &(String, i64)| {
            let row = self.rows.iter().find(|row| row.id == *id)?;
            Some((id.clone(), row.priority))
        };
        let back = Request::Order(changed.iter().filter_map(before).collect());
        let what = format!("place of {}", moved.id);
        self.queue_cursor = self.queue_cursor.saturating_add_signed(to as isize - from as isize);
        self.ask_undoably(Request::Order(changed), what, vec![back], effects);
    }
}

impl Working {
    /// Whether it will take another run.
    pub fn takes_runs(self) -> bool {
        matches!(self, Working::Working | Working::Idle)
    }
}

fn ask(request: Request, effects: &mut Vec<Effect>) {
    effects.push(Effect::Ask(Ask::Do(request)));
}
