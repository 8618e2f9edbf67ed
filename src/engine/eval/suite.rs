//! Every evaluation put to one encoder's features, with a name for each number.
//!
//! Hyper-parameters (k and τ, C, l2) are chosen on training images held out for that, never on the test images; what
//! the test images say of every setting is kept beside the choice.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::ranked::Ranked;
use super::{diagnostics, retrieval};
use crate::config::evaluation::Evaluation;
use crate::engine::ages;
use crate::engine::cluster::{best_of, nmi};
use crate::engine::eval::encode::to_vec;
use crate::engine::finetune::{self, Tuned};
use crate::engine::models::{Encoded, unit};
use crate::journal::event::MetricInfo;
use crate::journal::metric;
use crate::random::{self, Purpose};

const KNN_K: [usize; 7] = [1, 5, 10, 20, 50, 100, 200];
const KNN_TAU: [f64; 5] = [0.05, 0.07, 0.1, 0.2, 0.5];
const RECALL_K: [usize; 6] = [1, 2, 4, 8, 10, 100];
/// One training image in this many is held out to choose by.
const HELD_OUT: usize = 10;
/// A confusion matrix of more classes than this is left out.
const MOST_CLASSES: usize = 100;
/// Rounds of the k-means behind NMI.
const ITERATIONS: u32 = 100;
/// Runs of k-means of which the best counts, as long as there are not many clusters: a set of products has 11,000.
const RESTARTS: u32 = 10;
const MANY_CLUSTERS: usize = 1000;

/// Features of a labelled set.
pub struct Labelled<'a> {
    pub features: &'a Encoded,
    /// (N)
    pub labels: &'a [u16],
}

/// What is evaluated.
pub struct Subject<'a> {
    pub train: Labelled<'a>,
    pub test: Labelled<'a>,
    pub classes: &'a [String],
    /// Embeddings of two augmentations of some training images, (n, D) each. None where nobody asks.
    pub views: Option<&'a [Tensor; 2]>,
    /// The training bank, where `train` is what it was trained on.
    pub bank: Option<Slots>,
    /// What fine-tuning reached on shares of the labels. Empty where nobody asks.
    pub tuned: &'a [Tuned],
    /// Appended to every name: `@cifar10` for another data set than the run's own.
    pub suffix: String,
}

/// The memory bank as it was left by training.
pub struct Slots {
    /// (n, D), unit rows.
    pub rows: Tensor,
    /// Steps since each was written, (n). None where no step ever wrote one: the untrained net's are encoded.
    pub ages: Option<Vec<u64>>,
    /// Steps that were made.
    pub step: u64,
}

/// One number, and everything that defines it.
pub struct Finding {
    pub metric: MetricInfo,
    pub value: f64,
    pub settings: Value,
    /// Whether it stands beside the run's metrics in tables; else it is a detail.
    pub headline: bool,
}

impl Subject<'_> {
    /// What an evaluation finds; of feature maps [`Subject::feature_map`] does, one layer at a time.
    pub fn put(&self, evaluation: Evaluation) -> Vec<Finding> {
        match evaluation {
            Evaluation::Knn => {
                let (train, test) = (self.train.features, self.test.features);
                let mut found = self.knn("knn_top1", &train.embedding, &test.embedding);
                let pooled = [&train.pooled, &test.pooled].map(unit);
                found.extend(self.knn("knn_top1/pooled", &pooled[0], &pooled[1]));
                found
            }
            Evaluation::Svm => self.svm(),
            Evaluation::Linear => self.linear(),
            Evaluation::Layers => Vec::new(),
            Evaluation::Retrieval => self.retrieval(),
            Evaluation::Diagnostics => self.diagnostics(),
            Evaluation::Finetune => self.finetuned(),
        }
    }

    pub(super) fn finding(&self, name: &str, value: f64, settings: Value) -> Finding {
        let metric = metric::info(&format!("{name}{}", self.suffix));
        Finding { metric, value, settings, headline: true }
    }

    fn dim(&self) -> usize {
        self.test.features.embedding.size()[1] as usize
    }

    /// What unit rows (n, F) of the training images say of those (Q, F) of the test images, under names that begin with `name`.
    fn knn(&self, name: &str, bank: &Tensor, queries: &Tensor) -> Vec<Finding> {
        let dim = bank.size()[1] as usize;
        let (bank, queries) = (to_vec(bank), to_vec(queries));
        let most = KNN_K[KNN_K.len() - 1];
        let on_test = Ranked::new(&queries, self.test.labels, &bank, self.train.labels, dim, most);

        let (kept, held) = held_out(self.train.labels.len());
        let (kept_rows, held_rows) = (pick(&bank, dim, &kept), pick(&bank, dim, &held));
        let (kept_labels, held_labels) =
            (pick(self.train.labels, 1, &kept), pick(self.train.labels, 1, &held));
        let on_held = Ranked::new(&held_rows, &held_labels, &kept_rows, &kept_labels, dim, most);

        let n_classes = self.classes.len();
        let mut findings = Vec::new();
        let mut choice = (f64::NEG_INFINITY, 0, 0.0);
        for k in KNN_K.into_iter().filter(|&k| k <= self.train.labels.len()) {
            for tau in KNN_TAU {
                let held = on_held.accuracy(n_classes, k, tau);
                if choice.0 < held {
                    choice = (held, k, tau);
                }
                let settings = json!({"k": k, "tau": tau, "bank": "clean", "held_out": held});
                let name = format!("{name}/k={k},tau={tau}");
                let value = on_test.accuracy(n_classes, k, tau);
                findings.push(Finding { headline: false, ..self.finding(&name, value, settings) });
            }
        }
        let (held, k, tau) = choice;
        let matrix = on_test.confusion(n_classes, k, tau);
        for (i, (class, row)) in self.classes.iter().zip(&matrix).enumerate() {
            let (n, right): (u32, u32) = (row.iter().sum(), row[i]);
            let value = 100.0 * f64::from(right) / f64::from(n);
            let name = format!("{name}/class={class}");
            let settings = json!({"k": k, "tau": tau, "n_queries": n});
            findings.push(Finding { headline: false, ..self.finding(&name, value, settings) });
        }
        let mut settings = json!({
            "k": k, "tau": tau, "bank": "clean", "chosen_on": "held-out training images", "held_out": held,
        });
        if n_classes <= MOST_CLASSES {
            settings["confusion"] = json!(matrix);
            settings["classes"] = json!(self.classes);
        }
        let value = on_test.accuracy(n_classes, k, tau);
        findings.push(self.finding(&format!("{name}/selected"), value, settings));
        findings
    }

    fn finetuned(&self) -> Vec<Finding> {
        let of = |tuned: &Tuned| {
            let settings = json!({
                "labels": tuned.n_labels, "share": tuned.share, "epochs": finetune::EPOCHS, "lr": finetune::LR,
                "classifier": "linear, on the pooled features, learned with the network",
            });
            let found = [("top1", Some(tuned.top1)), ("top5", tuned.top5)];
            let finding = |(top, value): (&str, Option<f64>)| {
                let name = format!("finetune_{top}/labels={}", tuned.share);
                Some(self.finding(&name, value?, settings.clone()))
            };
            found.into_iter().filter_map(finding).collect::<Vec<_>>()
        };
        self.tuned.iter().flat_map(of).collect()
    }

    fn retrieval(&self) -> Vec<Finding> {
        let rows = to_vec(&self.test.features.embedding);
        let found = retrieval::recall(&rows, self.test.labels, self.dim(), &RECALL_K);
        let settings = json!({"within": "test images", "n": self.test.labels.len()});
        let mut findings: Vec<Finding> = RECALL_K
            .iter()
            .zip(found)
            .map(|(k, value)| self.finding(&format!("recall_at_{k}"), value, settings.clone()))
            .collect();

        // Where training and test classes differ, only those that are there can be found.
        let k = self.test.labels.iter().collect::<BTreeSet<_>>().len();
        let mut stream = random::stream(0, Purpose::Evaluation, 2, 0);
        let runs = if k <= MANY_CLUSTERS { RESTARTS } else { 1 };
        let embedding = &self.test.features.embedding;
        let found = best_of(runs, embedding, k, ITERATIONS, &mut stream);
        let clusters = found.map(|found| found.assignment.to_device(tch::Device::Cpu));
        let clusters: Vec<i64> =
            clusters.and_then(|clusters| Vec::try_from(clusters).ok()).unwrap_or_default();
        let labels: Vec<i64> = self.test.labels.iter().map(|&label| label.into()).collect();
        let settings = json!({"within": "test images", "clusters": k, "runs": runs});
        let value = 100.0 * nmi(&clusters, &labels);
        findings.push(self.finding("nmi", value, settings));
        findings
    }

    fn diagnostics(&self) -> Vec<Finding> {
        let (train, test) = (self.train.features, self.test.features);
        let on_test = json!({"within": "test images", "n": self.test.labels.len()});
        let rows = [
            ("uniformity", diagnostics::uniformity(&test.embedding)),
            ("rankme", diagnostics::rankme(&test.embedding)),
            ("rankme/pooled", diagnostics::rankme(&test.pooled)),
            ("spread", diagnostics::spread(&test.embedding)),
        ];
        let plain = |(name, value): (&str, f64)| self.finding(name, value, on_test.clone());
        let mut findings: Vec<Finding> = rows.into_iter().map(plain).collect();
        if let Some([first, second]) = self.views {
            findings.extend(self.of_views(first, second));
        }
        if let Some(slots) = &self.bank {
            findings.extend(self.of_slots(&train.embedding, slots));
        }
        findings
    }

    /// How near each feature, (n, D), is to its row of the memory bank, and how old the rows are.
    fn of_slots(&self, features: &Tensor, slots: &Slots) -> Vec<Finding> {
        let within = json!({"within": "training images", "n": self.train.labels.len()});
        let cosines = diagnostics::slot_cosines(features, &slots.rows);
        let mean = cosines.mean(Kind::Double).double_value(&[]);
        let mut findings = vec![self.finding("slot_cosine", mean, within.clone())];
        if let Some(ages) = &slots.ages {
            let bins = ages::by_age(&to_vec(&cosines), ages);
            let bins: Vec<Value> = bins
                .iter()
                .map(|bin| json!({"from": bin.steps.0, "to": bin.steps.1, "n": bin.n, "cosine": bin.mean}))
                .collect();
            let mut settings = within;
            settings["oldest"] = json!(ages.iter().max());
            settings["never_written"] =
                json!(ages.iter().filter(|&&age| age == slots.step).count());
            settings["cosine_by_age"] = json!(bins);
            let mean = ages.iter().sum::<u64>() as f64 / ages.len() as f64;
            findings.push(self.finding("slot_age", mean, settings));
        }
        findings
    }

    /// How alike two views of one image are, and how unlike those of two.
    fn of_views(&self, first: &Tensor, second: &Tensor) -> Vec<Finding> {
        let n = first.size()[0];
        let on_views = json!({"within": "training images", "n": n, "views": "two augmentations"});
        let alignment = diagnostics::alignment(first, second);
        let found = diagnostics::similarity(first, second);
        let mut findings = vec![
            self.finding("alignment", alignment, on_views.clone()),
            self.finding("instance_top1", found.recognised, on_views.clone()),
        ];
        for (name, of, cosines) in [
            ("cosine/positive", "views of one image", found.positive),
            ("cosine/negative", "views of two images", found.negative),
        ] {
            let mut settings = on_views.clone();
            settings["of"] = json!(of);
            settings["range"] = json!([-1, 1]);
            settings["counts"] = json!(cosines.counts);
            findings.push(self.finding(name, cosines.mean, settings));
        }
        findings
    }
}

/// Rows of a set of `n` to fit on, and one in ten to choose by; the same for every encoder.
pub(super) fn held_out(n: usize) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..n).collect();
    random::stream(0, Purpose::Evaluation, 0, 0).shuffle(&mut order);
    let held = order.split_off(n - (n / HELD_OUT).max(1).min(n));
    (order, held)
}

/// Rows of `width` numbers, in the order asked for.
fn pick<T: Copy>(of: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|&row| &of[row * width..][..width]).copied().collect()
}
