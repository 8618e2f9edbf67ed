//! The fixture that the classifiers are held against; `assets/fixtures/eval/generate.py` made it with scikit-learn.

use std::collections::HashMap;

use tch::{Kind, Tensor};

pub struct Fixture {
    tensors: HashMap<String, Tensor>,
    pub n_classes: i64,
}

impl Fixture {
    pub fn load() -> Fixture {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fixtures/eval/eval.safetensors");
        let tensors: HashMap<String, Tensor> =
            Tensor::read_safetensors(path).unwrap().into_iter().collect();
        Fixture { n_classes: 1 + tensors["labels"].max().int64_value(&[]), tensors }
    }

    /// (N, D) fp32
    pub fn rows(&self) -> Tensor {
        self.tensors["rows"].to_kind(Kind::Float)
    }

    /// (N) i64
    pub fn labels(&self) -> Tensor {
        self.tensors["labels"].shallow_clone()
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        Vec::try_from(self.tensors[name].to_kind(Kind::Double).reshape([-1])).unwrap()
    }
}
