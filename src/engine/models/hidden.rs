//! The two hidden layers that AlexNet and VGG16 have between their last map and the output.

use tch::{Kind, Tensor};

use super::layers::{Init, Linear};
use crate::engine::params::Params;

pub struct Hidden {
    /// Side of the last map, averaged to that size where images are larger.
    map: i64,
    layers: [Linear; 2],
    /// Outputs of either.
    pub features: i64,
}

impl Hidden {
    /// Over a map of `channels` and `map`×`map` pixels.
    pub fn new(init: &mut Init, names: [&str; 2], channels: i64, map: i64, features: i64) -> Self {
        let layers = [
            init.hidden(names[0], channels * map * map, features),
            init.hidden(names[1], features, features),
        ];
        Self { map, layers, features }
    }

    /// The last map (B, C, H, W) → (B, features), fp32.
    pub fn forward(&self, params: &Params, xs: &Tensor) -> Tensor {
        let xs = xs.to_kind(Kind::Float).adaptive_avg_pool2d([self.map; 2]).flatten(1, -1);
        let xs = self.layers[0].forward(params, &xs).relu_();
        self.layers[1].forward(params, &xs).relu_()
    }
}
