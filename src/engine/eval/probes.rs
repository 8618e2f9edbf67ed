//! Classifiers fitted to fixed features: the SVM and logistic regression, with the best of what is tried of each.

use serde_json::{Value, json};
use tch::Tensor;

use super::linear::{Linear, Solved, standardise, top5};
use super::suite::{Finding, Subject, held_out};
use super::{logistic, svm};

const SVM_C: [f64; 5] = [0.01, 0.1, 1.0, 10.0, 100.0];
const PROBE_L2: [f64; 5] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// Feature maps have more numbers than a few thousand images can pin down without a penalty.
const MAP_L2: [f64; 3] = [1e-3, 1e-2, 1e-1];

/// A kind of classifier, and what is tried of it.
struct Probe {
    about: Value,
    /// Its hyper-parameter.
    key: &'static str,
    tries: &'static [f64],
    /// Rows, labels, number of classes, hyper-parameter.
    fit: fn(&Tensor, &Tensor, i64, f64) -> Linear,
    /// Whether top-5 accuracy is usual for it.
    has_top5: bool,
}

impl Subject<'_> {
    /// Features of both sets under a name, as a classifier sees them: unit embeddings, or standardised pooled features.
    fn layers(&self) -> [(&'static str, Tensor, Tensor); 2] {
        let (train, test) = (self.train.features, self.test.features);
        let embedding = (train.embedding.shallow_clone(), test.embedding.shallow_clone());
        let pooled =
            (standardise(&train.pooled, &train.pooled), standardise(&test.pooled, &train.pooled));
        [("embedding", embedding.0, embedding.1), ("pooled", pooled.0, pooled.1)]
    }

    /// The paper's table does not say which features its SVM saw; the embedding is the likelier reading.
    pub(super) fn svm(&self) -> Vec<Finding> {
        let probe = Probe {
            about: json!({"classifier": "linear SVM, squared hinge, one against the rest"}),
            key: "c",
            tries: &SVM_C,
            fit: svm::fit,
            has_top5: false,
        };
        self.of_both(["svm_top1", "svm_top1/pooled"], &probe)
    }

    pub(super) fn linear(&self) -> Vec<Finding> {
        let probe = Probe {
            about: json!({"classifier": "logistic regression"}),
            key: "l2",
            tries: &PROBE_L2,
            fit: logistic::fit,
            has_top5: true,
        };
        self.of_both(["linear_top1/embedding", "linear_top1/pooled"], &probe)
    }

    /// Embedding and pooled features, under these names.
    fn of_both(&self, names: [&str; 2], probe: &Probe) -> Vec<Finding> {
        let layers = names.into_iter().zip(self.layers());
        layers.flat_map(|(name, layer)| self.classify(name, layer, probe)).collect()
    }

    /// The map of `layer`, flat: that of `train` and of `test`, (N, F) each.
    pub fn feature_map(&self, layer: &'static str, train: Tensor, test: Tensor) -> Vec<Finding> {
        let probe = Probe {
            about: json!({"classifier": "logistic regression", "pooling": "adaptive average"}),
            key: "l2",
            tries: &MAP_L2,
            fit: logistic::fit,
            has_top5: false,
        };
        let standardised = (layer, standardise(&train, &train), standardise(&test, &train));
        // As large as those.
        drop((train, test));
        self.classify(&format!("linear_top1/{layer}"), standardised, &probe)
    }

    /// Fits a classifier to one layer with the best of what is tried, chosen on held-out training images.
    fn classify(
        &self,
        name: &str,
        (layer, train, test): (&str, Tensor, Tensor),
        probe: &Probe,
    ) -> Vec<Finding> {
        let n_classes = self.classes.len() as i64;
        let device = self.test.features.embedding.device();
        let on_device = |numbers: Vec<i64>| Tensor::from_slice(&numbers).to_device(device);
        let labels = |of: &[u16]| on_device(of.iter().map(|&label| label.into()).collect());
        let (of_train, of_test) = (labels(self.train.labels), labels(self.test.labels));
        let fit =
            |rows: &Tensor, labels: &Tensor, value| (probe.fit)(rows, labels, n_classes, value);
        let mut stopped_short = Vec::new();
        let tried: Vec<(f64, f64)> = {
            let index = |of: Vec<usize>| on_device(of.into_iter().map(|row| row as i64).collect());
            let (kept, held) = held_out(self.train.labels.len());
            let (kept, held) = (index(kept), index(held));
            let part =
                |rows: &Tensor| (train.index_select(0, rows), of_train.index_select(0, rows));
            let ((kept_rows, kept_labels), (held_rows, held_labels)) = (part(&kept), part(&held));
            let held_out = |&value: &f64| {
                let fitted = fit(&kept_rows, &kept_labels, value);
                if !fitted.solved.converged() {
                    stopped_short.push(value);
                }
                (value, fitted.accuracy(&held_rows, &held_labels))
            };
            probe.tries.iter().map(held_out).collect()
        };
        let value = best(&tried);
        let fitted = fit(&train, &of_train, value);
        let Solved { steps, gradient, tolerance } = fitted.solved;
        let mut settings = probe.about.clone();
        settings["feature"] = json!(layer);
        settings["n_features"] = json!(train.size()[1]);
        settings[probe.key] = json!(value);
        settings["chosen_on"] = json!("held-out training images");
        settings["held_out"] = json!(tried);
        settings["solver"] = json!({
            "converged": fitted.solved.converged(), "steps": steps, "gradient": gradient,
            "tolerance": tolerance, "stopped_short_at": stopped_short,
        });
        let mut findings =
            vec![self.finding(name, fitted.accuracy(&test, &of_test), settings.clone())];
        if probe.has_top5
            && let Some(value) = top5(&fitted.scores(&test), &of_test)
        {
            findings.push(self.finding(&name.replacen("top1", "top5", 1), value, settings));
        }
        findings
    }
}

/// The setting whose score is highest; of equals the first.
fn best(tried: &[(f64, f64)]) -> f64 {
    let mut best = tried[0];
    for &(setting, score) in tried {
        if best.1 < score {
            best = (setting, score);
        }
    }
    best.0
}
