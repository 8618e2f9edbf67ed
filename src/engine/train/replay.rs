//! Steps launched whole on CUDA: the device's part of a step is recorded once for each shape that it comes in.
//!
//! The first steps of a shape run one operation at a time, so that libtorch has chosen its kernels and holds its
//! workspaces; then one is recorded, on copies of its inputs, and from there on inputs are copied to where the recording
//! reads them. A new recording has to prove itself: its first launch must move the parameters to where the same step moves
//! them one operation at a time. A device that refuses, or a recording that differs, is said once, and training goes on as
//! it began.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::Trainer;
use super::step::{Inputs, Losses};
use crate::engine::cuda::{Graph, GraphError};
use crate::engine::objectives;

/// Steps of a shape that run before it is recorded.
const WARM_UP: u32 = 3;

/// How far a recorded step may end from the same step unrecorded, as a share of the way that it went. Some of cuDNN's sums
/// are taken in whatever order threads come; of a step in bf16 that moves less than a hundredth.
const TOLERANCE: f64 = 0.05;

/// Why a run's steps are not recorded any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("a recorded step ended {0:.1} % of its way from where it should, allowed: {allowed:.0} %", allowed = 100.0 * TOLERANCE)]
    Differs(f64),
}

/// What decides which operations a step consists of: rows of the batch, and the bits of λ.
type Shape = (i64, u64);

/// The recorded steps of a run.
pub(super) struct Replays {
    enabled: bool,
    steps: BTreeMap<Shape, Step>,
    refused: Option<Refusal>,
}

enum Step {
    /// Run so often.
    Seen(u32),
    Recorded(Recorded),
}

struct Recorded {
    graph: Graph,
    inputs: Inputs,
    losses: Losses,
}

impl Replays {
    pub fn new(enabled: bool) -> Self {
        Self { enabled, steps: BTreeMap::new(), refused: None }
    }

    #[cfg(test)]
    pub fn recorded(&self) -> usize {
        self.steps.values().filter(|step| matches!(step, Step::Recorded(_))).count()
    }

    /// Why nothing is recorded any more, said once.
    pub fn refusal(&mut self) -> Option<Refusal> {
        self.refused.take()
    }
}

impl Recorded {
    fn replay(&self, inputs: &Inputs) -> Result<Losses, Refusal> {
        self.inputs.fill(inputs);
        self.graph.launch()?;
        Ok(self.losses.share())
    }
}

impl Trainer<'_> {
    /// The device's part of a step, recorded where that can be.
    pub(super) fn descend(&mut self, inputs: Inputs, lambda: f64) -> Losses {
        let Device::Cuda(device) = self.job.device else { return self.compute(&inputs, lambda) };
        if !self.replays.enabled || !self.objective.is_steady() {
            return self.compute(&inputs, lambda);
        }
        let shape = (inputs.index.size()[0], lambda.to_bits());
        let result = match self.replays.steps.entry(shape).or_insert(Step::Seen(0)) {
            Step::Recorded(recorded) => recorded.replay(&inputs),
            Step::Seen(seen) if *seen < WARM_UP => {
                *seen += 1;
                return self.compute(&inputs, lambda);
            }
            Step::Seen(_) => self.record(device, shape, &inputs, lambda),
        };
        result.unwrap_or_else(|why| {
            self.replays = Replays { refused: Some(why), ..Replays::new(false) };
            self.compute(&inputs, lambda)
        })
    }

    fn record(
        &mut self,
        device: usize,
        shape: Shape,
        inputs: &Inputs,
        lambda: f64,
    ) -> Result<Losses, Refusal> {
        let inputs = inputs.copy();
        tch::Cuda::synchronize(device as i64);
        let (graph, losses) = Graph::record(device, || self.compute(&inputs, lambda))?;

        let before = self.remember();
        self.compute(&inputs, lambda);
        let expected = self.remember();
        self.rewind(&before);
        graph.launch()?;
        let away = before.distance(&expected, &self.remember());
        if away.is_nan() || TOLERANCE < away {
            self.rewind(&before);
            return Err(Refusal::Differs(100.0 * away));
        }
        let shared = losses.share();
        self.replays.steps.insert(shape, Step::Recorded(Recorded { graph, inputs, losses }));
        Ok(shared)
    }

    pub(super) fn remember(&self) -> Before {
        Before {
            params: self.params.flat().copy(),
            buffers: self.params.buffers().iter().map(|(_, buffer)| buffer.copy()).collect(),
            velocity: self.sgd.velocity().copy(),
            bank: self.bank.tensor().copy(),
            objective: self.objective.state(),
        }
    }

    /// Everything as it was then, in the memory where it lies.
    pub(super) fn rewind(&mut self, before: &Before) {
        self.params.load(&before.params);
        for ((_, buffer), was) in self.params.buffers().iter().zip(&before.buffers) {
            buffer.shallow_clone().copy_(was);
        }
        self.sgd.load(&before.velocity);
        self.bank.tensor().shallow_clone().copy_(&before.bank);
        // It is the objective's own state, which fits.
        drop(self.objective.restore(&before.objective));
    }
}

/// A run's state before a step.
pub(super) struct Before {
    params: Tensor,
    buffers: Vec<Tensor>,
    velocity: Tensor,
    bank: Tensor,
    objective: objectives::State,
}

impl Before {
    /// Of parameters, velocity, bank and batch statistics, the farthest from where it should be, by [`distance`].
    pub(super) fn distance(&self, there: &Before, here: &Before) -> f64 {
        let parts = self.parts().zip(there.parts()).zip(here.parts());
        let away = parts.map(|((start, there), here)| distance(start, there, here));
        away.fold(0.0, |most, away| if away.is_nan() || most < away { away } else { most })
    }

    fn parts(&self) -> impl Iterator<Item = &Tensor> {
        [&self.params, &self.velocity, &self.bank].into_iter().chain(&self.buffers)
    }
}

/// ‖there − here‖ as a share of ‖there − start‖, of rows of the same length. A sync point.
fn distance(start: &Tensor, there: &Tensor, here: &Tensor) -> f64 {
    let length = |xs: Tensor| xs.to_kind(Kind::Double).norm().double_value(&[]);
    let (away, way) = (length(there - here), length(there - start));
    if away == 0.0 { 0.0 } else { away / way }
}

impl Inputs {
    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let Self { index, learned, keys, noise } = self;
        std::iter::once(index).chain(learned).chain(keys).chain(noise)
    }

    fn copy(&self) -> Inputs {
        Inputs {
            index: self.index.copy(),
            learned: self.learned.iter().map(Tensor::copy).collect(),
            keys: self.keys.as_ref().map(Tensor::copy),
            noise: self.noise.as_ref().map(Tensor::copy),
        }
    }

    /// Overwrites what lies here; the shapes are the same.
    fn fill(&self, from: &Inputs) {
        for (to, from) in self.tensors().zip(from.tensors()) {
            to.shallow_clone().copy_(from);
        }
    }
}

impl Losses {
    fn share(&self) -> Losses {
        Losses {
            instance: self.instance.shallow_clone(),
            proximal: self.proximal.as_ref().map(Tensor::shallow_clone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_measured_by_the_way_that_the_step_goes() {
        let row = |xs: [f32; 2]| Tensor::from_slice(&xs);
        let (start, there) = (row([1.0, 1.0]), row([1.0, 3.0]));
        assert_eq!(distance(&start, &there, &there), 0.0);
        assert_eq!(distance(&start, &there, &start), 1.0, "a launch that did nothing");
        assert!(distance(&start, &there, &row([1.0, 3.02])) < TOLERANCE);
        assert_eq!(distance(&start, &start, &start), 0.0, "a rate of 0");
        assert!(distance(&start, &there, &row([f32::NAN, 3.0])).is_nan());
    }
}
