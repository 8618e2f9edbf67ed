//! From pooled features to what is brought to length one.

use tch::{Kind, Tensor};

use super::Mode;
use super::layers::{Init, Linear, Statistics};
use crate::config::spec::{HeadKind, HeadNorm, ModelSpec};
use crate::engine::params::Params;

/// Statistics of the head's outputs.
const NORM: &str = "head_norm";

/// A linear layer of D outputs (InstDisc §3), or two with a ReLU between (Chen et al. 2020 §2.1; without batch normalisation in
/// between, as MoCo v2 has it).
pub struct Head {
    name: &'static str,
    /// (C) → (C).
    hidden: Option<Linear>,
    /// (C) → (D).
    last: Linear,
    norm: Option<Statistics>,
}

impl Head {
    /// Declares it under `name`, torchvision's of the backbone's last layer; of two layers as those of an
    /// `nn.Sequential` in its place. `features` is C.
    pub fn new(spec: &ModelSpec, name: &'static str, features: i64, init: &mut Init) -> Self {
        let dim = i64::from(spec.dim);
        let (hidden, last) = match spec.head {
            HeadKind::Linear => (None, init.linear(name, features, dim)),
            HeadKind::Mlp => {
                let hidden = init.linear(&format!("{name}.0"), features, features);
                (Some(hidden), init.linear(&format!("{name}.2"), features, dim))
            }
        };
        let norm = match spec.head_norm {
            HeadNorm::None => None,
            HeadNorm::Batch => Some(init.statistics(NORM, dim)),
        };
        Self { name, hidden, last, norm }
    }

    /// Whether a parameter or statistic of this name is its.
    pub fn has(&self, name: &str) -> bool {
        let leaf = [self.name, NORM].iter().find_map(|head| name.strip_prefix(head));
        leaf.is_some_and(|leaf| leaf.starts_with('.'))
    }

    /// (B, C) → (B, D), not yet of length one.
    pub fn forward(&self, params: &Params, pooled: &Tensor, mode: Mode) -> Tensor {
        let projected = self.last.forward(params, &self.before_last(params, pooled));
        match &self.norm {
            Some(norm) => norm.forward(params, &projected, mode),
            None => projected,
        }
    }

    /// Scales and shifts the last layer so that on `pooled` (N, C) each output has mean 0 and standard deviation 1.
    pub fn centre(&self, params: &Params, pooled: &Tensor) {
        tch::no_grad(|| {
            let inputs = self.before_last(params, pooled); // (N, C)
            let mut weight = params.get(self.last.weight).shallow_clone(); // (D, C)
            let mut bias = params.get(self.last.bias).shallow_clone();
            let outputs = inputs.matmul(&weight.tr()); // (N, D)
            let std = outputs.std_dim(0, true, false).clamp_min(1e-6); // (D)
            let _ = weight.g_div_(&std.unsqueeze(1));
            let mean = inputs.mean_dim(0i64, false, Kind::Float); // (C)
            bias.copy_(&-weight.mv(&mean));
        });
    }

    /// What the last layer reads, (B, C).
    fn before_last(&self, params: &Params, pooled: &Tensor) -> Tensor {
        match &self.hidden {
            Some(hidden) => hidden.forward(params, pooled).relu(),
            None => pooled.shallow_clone(),
        }
    }
}
