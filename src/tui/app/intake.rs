//! What the store thread has found out, taken into the state; or held back while the screen is frozen.

use crate::tui::event::Data;
use crate::tui::memory::Memory;
use crate::tui::theme;

use super::{App, Column, Tail, notice};

impl App {
    /// Stops taking in what happens, or takes in all that has happened meanwhile.
    pub(super) fn freeze(&mut self) {
        self.alerted.take();
        match self.frozen.take() {
            None => self.frozen = Some(Vec::new()),
            Some(held) => held.into_iter().for_each(|data| self.on_data(data)),
        }
    }

    pub(super) fn on_data(&mut self, data: Data) {
        if let Some(held) = &mut self.frozen
            && matches!(data, Data::Runs(_) | Data::Points(_) | Data::Sketches { .. })
        {
            // Of the lists only the newest counts; of curves every piece.
            if matches!(data, Data::Runs(_)) {
                held.retain(|held| !matches!(held, Data::Runs(_)));
            }
            return held.push(data);
        }
        self.dirty = true;
        self.alerted.take();
        match data {
            Data::Runs(rows) => {
                self.tabled.take();
                self.drop_void_curves(&rows);
                if let Some(text) = notice::ended(&self.rows, &rows) {
                    self.notify(text);
                }
                self.rows = rows;
                self.loaded = true;
                self.trouble = None;
                self.take_rows();
                self.watch_over();
            }
            Data::Records(records) => {
                self.tabled.take();
                self.declared.take();
                self.records = records;
            }
            Data::Points(points) => self.add_points(points),
            Data::Sketches { metric, sketches } => {
                self.table.take_sketches(&metric, sketches, &self.rows);
            }
            Data::Tail { run, attempt, lines } => self.tail = Some(Tail { run, attempt, lines }),
            Data::Workers(workers) => self.workers = workers,
            Data::Detail(detail) => self.detail = Some(detail),
            Data::Log(log) => self.log = Some(log),
            Data::Found(found) => self.take_found(found),
            Data::Map(map) => self.take_map(map),
            Data::Pictures { run, tile, pictures } => self.take_pictures(&run, tile, pictures),
            Data::Machine(machine) => self.machine = Some(machine),
            Data::Disk(disk) => self.disk = Some(disk),
            Data::Lags(lags) => self.lags = lags,
            Data::Experiments(files) => self.list_experiments(files),
            Data::Plan(plan) => self.take_plan(plan),
            Data::Memory(memory) => self.recall_memory(memory),
            Data::Answer { done, text } => self.say(done, text),
            Data::Void(request) => self.was_void(request),
            Data::Trouble(why) => self.trouble = Some(why),
            Data::Unwritable => {
                (self.readonly, self.unwritable) = (true, true);
                self.say(false, format!("{}: this screen only looks", self.why_readonly()));
            }
        }
    }

    /// What the lab remembers from the last time.
    pub(super) fn recall_memory(&mut self, memory: Memory) {
        let columns = memory.columns.iter().filter_map(|name| Column::parse(name, &self.rows));
        let columns = columns.collect();
        self.tabled.take();
        let look = memory.theme.as_deref().and_then(|name| theme::named(name).ok());
        self.look = look.filter(|_| !self.look_given).unwrap_or(self.look);
        self.memory = memory;
        self.mouse.get_or_insert(false);
        self.table.set_columns(columns, &self.rows);
    }
}
