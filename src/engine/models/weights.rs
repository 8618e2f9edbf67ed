//! Weights from a file under torchvision's names, all of them or none.
//!
//! The rule: the file holds every parameter and every running statistic of the backbone, each in the backbone's shape,
//! and nothing else. Two exceptions. The head may be absent, or be somebody else's (another number of outputs, as
//! ImageNet's 1,000): it then stays as it started. `num_batches_tracked`, which nothing here reads, is passed over.
//! Whatever else is missing, unexpected or of another shape is refused by name, because a loader that shrugs loads
//! nothing at all when a prefix differs.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::{Model, ModelError};
use crate::engine::params::Params;

/// Names in one message.
const NAMED: usize = 4;

impl Model {
    /// Overwrites the backbone's parameters and statistics, and the head where it fits, with those of `path`.
    /// Returns whether the head was among them. `params` must be frozen; it is untouched on error.
    ///
    /// # Errors
    /// A file that is no safetensors file, or that breaks the rule above.
    pub fn load_weights(&self, params: &mut Params, path: &Path) -> Result<bool, ModelError> {
        let mut file = self.read(path)?;
        let refuse = |found: String| {
            let allowed = format!("exactly the weights of {}, its head apart", self.name);
            ModelError::Weights { path: path.to_owned(), found, allowed }
        };
        let own = params.named(params.flat());
        let statistics = params.buffers().iter().map(|(n, t)| (n.clone(), t.shallow_clone()));
        let wanted: Vec<(String, Tensor)> = own[..self.n_params]
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .chain(statistics.take(self.n_buffers))
            .collect();
        let is_head = |name: &str| self.head.has(name);
        let head_fits = wanted
            .iter()
            .filter(|(name, _)| is_head(name))
            .all(|(name, own)| file.get(name).is_some_and(|found| found.size() == own.size()));
        if !head_fits {
            file.retain(|name, _| !is_head(name));
        }
        let expected = |name: &String| !is_head(name) || head_fits;
        let missing = wanted.iter().map(|(name, _)| name);
        let missing: Vec<_> =
            missing.filter(|name| expected(name) && !file.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(refuse(format!("no {}", list(&missing))));
        }
        let unexpected: Vec<_> =
            file.keys().filter(|name| !wanted.iter().any(|(known, _)| known == *name)).collect();
        if !unexpected.is_empty() {
            return Err(refuse(format!("an unexpected {}", list(&unexpected))));
        }
        for (name, own) in wanted.iter().filter(|(name, _)| expected(name)) {
            let (found, want) = (file[name].size(), own.size());
            if found != want {
                return Err(refuse(format!("{name} of shape {found:?} instead of {want:?}")));
            }
        }
        let now: BTreeMap<String, Tensor> = own.into_iter().collect();
        let row = params.row(|name| file.get(name).or(now.get(name)).map(Tensor::shallow_clone));
        params.load(&row.map_err(refuse)?);
        for (name, buffer) in params.buffers() {
            if let Some(found) = file.get(name) {
                buffer.shallow_clone().copy_(found);
            }
        }
        Ok(head_fits)
    }

    /// The file's tensors as fp32, without the counters.
    fn read(&self, path: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
        let unreadable = |why: String| ModelError::Unreadable { path: path.to_owned(), why };
        let why = |error: &dyn std::fmt::Display| {
            // libtorch's messages go on with a trace.
            error.to_string().lines().next().unwrap_or_default().to_owned()
        };
        std::fs::File::open(path).map_err(|e| unreadable(format!("cannot be read: {e}")))?;
        let tensors = Tensor::read_safetensors(path)
            .map_err(|e| unreadable(format!("is no safetensors file ({})", why(&e))))?;
        let mut file = BTreeMap::new();
        for (name, tensor) in tensors {
            if name.ends_with(".num_batches_tracked") {
                continue;
            }
            if !matches!(tensor.kind(), Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
                let found = format!("{name} of kind {:?}", tensor.kind());
                let allowed = "floating-point numbers".to_owned();
                return Err(ModelError::Weights { path: path.to_owned(), found, allowed });
            }
            file.insert(name, tensor.to_device(Device::Cpu).to_kind(Kind::Float));
        }
        Ok(file)
    }
}

/// The first few names, and how many more there are.
fn list(names: &[&String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(|name| name.as_str()).collect();
    let rest = names.len() - shown.len();
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::{
        Backbone, HeadInit, HeadKind, HeadNorm, ModelSpec, Stem, WeightInit,
    };
    use crate::engine::models::{Arithmetic, Mode};

    fn model(seed: u64, dim: u32) -> (Model, Params) {
        let spec = ModelSpec {
            backbone: Backbone::ResnetSmall,
            dim,
            width: 0.125,
            head_init: HeadInit::Default,
            head: HeadKind::Linear,
            head_norm: HeadNorm::Batch,
            init: WeightInit::He,
            stem: Stem::Auto,
            weights: None,
        };
        let mut params = Params::new(Device::Cpu);
        let model = Model::new(&spec, 32, Arithmetic::Fp32, seed, &mut params).unwrap();
        // What an objective declares after the model is none of the file's business.
        params.add("objective.weight", Tensor::ones([3, 2], (Kind::Float, Device::Cpu)));
        params.freeze();
        (model, params)
    }

    type Named = Vec<(String, Tensor)>;

    /// Everything that a model of seed 1 has, head included.
    fn all(dim: u32) -> Named {
        let (model, params) = model(1, dim);
        let mut named = params.named(params.flat());
        named.truncate(model.n_params);
        named.extend(params.buffers().iter().map(|(n, t)| (n.clone(), t + 0.25)));
        named.push(("bn1.num_batches_tracked".to_owned(), Tensor::from_slice(&[7i64])));
        named
    }

    fn load(named: &Named, dim: u32) -> (Result<bool, ModelError>, Params) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let named: Vec<(&str, Tensor)> =
            named.iter().map(|(n, t)| (n.as_str(), t.contiguous())).collect();
        Tensor::write_safetensors(&named, &path).unwrap();
        let (model, mut params) = model(2, dim);
        let before = params.flat().copy();
        let result = model.load_weights(&mut params, &path);
        if result.is_err() {
            assert_eq!(params.flat(), &before, "a refusal changes nothing");
        }
        (result, params)
    }

    fn refusal(named: &Named) -> String {
        let text = load(named, 8).0.unwrap_err().to_string();
        text.split_once("w.safetensors: ").unwrap().1.to_owned()
    }

    #[test]
    fn a_whole_file_makes_the_same_network() {
        let (result, params) = load(&all(8), 8);
        assert!(result.unwrap());
        let loaded: BTreeMap<_, _> = params.named(params.flat()).into_iter().collect();
        for (name, tensor) in all(8) {
            if let Some(own) = loaded.get(&name) {
                assert_eq!(own, &tensor, "{name}");
            }
        }
        let mean = &params.buffers()[0];
        assert_eq!(mean.0, "bn1.running_mean");
        assert_eq!(mean.1.double_value(&[0]), 0.25);
        assert_eq!(loaded["objective.weight"].double_value(&[0, 0]), 1.0);
    }

    #[test]
    fn another_head_or_none_leaves_ours_as_it_started() {
        let own = |params: &Params| {
            params.named(params.flat()).into_iter().find(|(n, _)| n == "fc.weight")
        };
        let started = own(&model(2, 8).1).unwrap().1;
        let without: Named = all(8).into_iter().filter(|(n, _)| !n.starts_with("fc.")).collect();
        for named in [all(1000), without] {
            let (result, params) = load(&named, 8);
            assert!(!result.unwrap());
            assert_eq!(own(&params).unwrap().1, started);
            let (model, other) = model(2, 8);
            let images = Tensor::ones([2, 3, 32, 32], (Kind::Float, Device::Cpu));
            let pooled = |p: &Params| model.forward(p, &images, Mode::Eval).pooled;
            assert_ne!(pooled(&params), pooled(&other), "the backbone is the file's");
        }
    }

    #[test]
    fn missing_unexpected_and_misshapen_weights_are_named() {
        let mut named = all(8);
        named.retain(|(name, _)| name != "layer2.0.conv1.weight");
        let message = refusal(&named);
        let allowed = "allowed: exactly the weights of resnet_small, its head apart";
        assert_eq!(message, format!("found no layer2.0.conv1.weight, {allowed}"));

        let mut named = all(8);
        named.push(("layer5.0.conv1.weight".to_owned(), Tensor::from_slice(&[1f32])));
        assert!(refusal(&named).starts_with("found an unexpected layer5.0.conv1.weight, "));

        let prefixed = all(8).into_iter().map(|(n, t)| (format!("module.{n}"), t)).collect();
        let message = refusal(&prefixed);
        assert!(message.starts_with("found no conv1.weight, bn1.weight"), "{message}");
        assert!(message.contains(" more, allowed"), "{message}");

        let mut named = all(8);
        named[0].1 = named[0].1.narrow(0, 0, 2);
        let message = refusal(&named);
        let expected = "found conv1.weight of shape [2, 3, 3, 3] instead of [4, 3, 3, 3], ";
        assert!(message.starts_with(expected), "{message}");

        let mut named = all(8);
        named[0].1 = named[0].1.to_kind(Kind::Int64);
        assert!(refusal(&named).starts_with("found conv1.weight of kind Int64, "));
    }

    #[test]
    fn garbage_truncations_and_huge_headers_are_no_safetensors_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let (model, mut params) = model(2, 8);
        let mut huge = u64::MAX.to_le_bytes().to_vec();
        huge.extend(b"{}");
        for bytes in [b"garbage".to_vec(), vec![], huge, [8u8, 0, 0, 0, 0, 0, 0, 0].to_vec()] {
            std::fs::write(&path, bytes).unwrap();
            let message = model.load_weights(&mut params, &path).unwrap_err().to_string();
            assert!(message.contains("is no safetensors file"), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
        let message =
            model.load_weights(&mut params, &dir.path().join("gone")).unwrap_err().to_string();
        assert!(message.contains("gone: cannot be read"), "{message}");
    }
}
