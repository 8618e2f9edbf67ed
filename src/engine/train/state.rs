//! A run's state into a checkpoint and back.

use std::collections::BTreeMap;

use tch::Tensor;

use super::{Events, TrainError, Trainer};
use crate::engine::bank::MemoryBank;
use crate::engine::checkpoint::{self, Loaded, Meta};
use crate::engine::objectives;
use crate::journal::event::{Checkpoint, Event};

impl Trainer<'_> {
    /// # Errors
    /// Also where any of it is no number: then nothing is written.
    pub(super) fn save(&mut self, events: &mut dyn Events) -> Result<(), TrainError> {
        let objective = self.objective.state();
        let meta = Meta {
            version: checkpoint::VERSION,
            step: self.step,
            file: String::new(),
            hash: String::new(),
            sec: self.now(),
            spec_fingerprint: self.job.spec_fingerprint.clone(),
            data_fingerprint: self.job.data.fingerprint.clone(),
            epoch_loss: self.epoch_loss,
            objective: objective.scalars,
            selected: self.selected,
        };
        let prefixed = |prefix: &str, named: Vec<(String, Tensor)>| {
            let prefix = prefix.to_owned();
            named.into_iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
        };
        let buffers = self.params.buffers().iter().map(|(n, t)| (n.clone(), t.shallow_clone()));
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        tensors.extend(prefixed("model.", self.params.named(self.params.flat())));
        tensors.extend(prefixed("model.", buffers.collect()));
        tensors.extend(prefixed("momentum.", self.params.named(self.sgd.velocity())));
        tensors.extend(prefixed("objective.", objective.tensors));
        tensors.push(("bank".to_owned(), self.bank.tensor().shallow_clone()));
        // The last update may have spoilt what no loss has seen yet, and every retry would begin there.
        for (name, tensor) in &tensors {
            if tensor.isfinite().all().int64_value(&[]) == 0 {
                return Err(self.not_finite(name, self.step, f64::NAN));
            }
        }
        let saved = checkpoint::save(self.job.checkpoints, meta, &tensors, || events.sync())?;
        events.write(Event::Checkpoint(Checkpoint {
            step: saved.step,
            file: saved.file,
            hash: saved.hash,
        }))?;
        Ok(())
    }

    pub(super) fn restore(&mut self, Loaded { meta, tensors }: Loaded) -> Result<(), TrainError> {
        if meta.data_fingerprint != self.job.data.fingerprint {
            let found = self.job.data.fingerprint.clone();
            return Err(TrainError::DataChanged { found, expected: meta.data_fingerprint });
        }
        self.step = meta.step;
        self.fill(&meta, &tensors).map_err(|why| TrainError::Restore { step: meta.step, why })?;
        self.sec_before = meta.sec;
        self.epoch_loss = meta.epoch_loss;
        self.selected = meta.selected;
        Ok(())
    }

    fn fill(&mut self, meta: &Meta, tensors: &BTreeMap<String, Tensor>) -> Result<(), String> {
        if meta.spec_fingerprint != self.job.spec_fingerprint {
            return Err("it belongs to another spec".to_owned());
        }
        let find = |name: String| tensors.get(&name).map(Tensor::shallow_clone);
        self.params.fill(|name| find(format!("model.{name}")))?;
        self.sgd.load(&self.params.row(|name| find(format!("momentum.{name}")))?);
        let bank = find("bank".to_owned()).ok_or("the memory bank is missing")?;
        if bank.size() != self.bank.tensor().size() {
            return Err(format!("the memory bank has shape {:?}", bank.size()));
        }
        self.bank = MemoryBank::from_unit(bank.to_device(self.job.device));
        let own = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix("objective.")?.to_owned(), tensor.to_device(self.job.device)))
        };
        let state = objectives::State {
            tensors: tensors.iter().filter_map(own).collect(),
            scalars: meta.objective.clone(),
        };
        self.objective.restore(&state).map_err(|e| e.to_string())
    }
}
