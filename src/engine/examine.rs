//! Examining an encoder: evaluations put to a checkpoint's network, and what they find written into the run's journal.
//!
//! A run does it when it has trained to the end (`eval.finally`), and anybody may ask for it afterwards.

use tch::{Device, Tensor};

use super::ages::ages;
use super::batches::Batches;
use super::checkpoint::Loaded;
use super::encoder::Encoder;
use super::eval::suite::{Finding, Labelled, Slots, Subject};
use super::finetune::{FinetuneError, SHARES, finetune};
use super::models::{Arithmetic, Encoded, LAYERS};
use crate::config::RunSpec;
use crate::config::evaluation::Evaluation;
use crate::config::spec::ObjectiveKind;
use crate::data::{DataError, Dataset};
use crate::journal::event::{Declare, Eval, Event, Number, Point};
use crate::journal::writer::{WriteError, Writer};

/// Training images whose two views alignment is measured on.
const VIEWED: usize = 1000;

/// What is examined, and on which images.
pub struct Examinee<'a> {
    pub spec: &'a RunSpec,
    pub trained_on: &'a Dataset,
    /// Another data set than that.
    pub other: Option<&'a Dataset>,
    pub device: Device,
    pub arithmetic: Arithmetic,
    pub loaded: &'a Loaded,
}

#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    #[error(transparent)]
    Data(#[from] DataError),
    /// `why` and no source: whoever prints the chain would say it twice.
    #[error("{key}: {why}")]
    Elsewhere { key: &'static str, why: DataError },
    #[error(
        "{key} {name}: found images of {found}×{found} pixels, allowed: {allowed}×{allowed}, as the run was trained on"
    )]
    Side { key: &'static str, name: String, found: usize, allowed: usize },
    #[error("{0}")]
    Damaged(String),
    #[error("{name}: found {n} classes, allowed: two or more with images in both splits")]
    Classes { name: String, n: usize },
    #[error("{key}: found {found} for {name}, whose {why}, allowed: {allowed}")]
    NoVotes {
        key: &'static str,
        name: String,
        found: &'static str,
        why: &'static str,
        allowed: String,
    },
}

impl From<FinetuneError> for ExamineError {
    fn from(error: FinetuneError) -> Self {
        match error {
            FinetuneError::Data(error) => ExamineError::Data(error),
            FinetuneError::Damaged(why) => ExamineError::Damaged(why),
        }
    }
}

/// Refuses, in the name of `key`, what cannot be asked on `data`.
///
/// # Errors
/// Too few classes, or no labels where an evaluation needs them.
pub fn check(
    evaluations: &[Evaluation],
    data: &Dataset,
    key: &'static str,
) -> Result<(), ExamineError> {
    let n = data.classes.len();
    if n < 2 || data.train.is_empty() || data.test.is_empty() {
        return Err(ExamineError::Classes { name: data.name.clone(), n });
    }
    let n_labelled = data.train.labelled().len();
    evaluations.iter().try_for_each(|&evaluation| votes(evaluation, data, n_labelled, key))
}

impl Examinee<'_> {
    fn data(&self) -> &Dataset {
        self.other.unwrap_or(self.trained_on)
    }

    /// Puts `evaluations`, which [`check`] let pass, to the encoder. `go_on` hears what begins and says whether it may:
    /// where it may not, there are no findings.
    ///
    /// # Errors
    /// A tensor of the checkpoint that does not fit, a file that is no image.
    pub fn examine(
        &self,
        evaluations: &[Evaluation],
        go_on: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Vec<Finding>>, ExamineError> {
        let (data, device, loaded) = (self.data(), self.device, self.loaded);
        if !go_on("encoding images") {
            return Ok(None);
        }
        let encoder = Encoder::new(self.spec, self.trained_on, device, self.arithmetic, loaded)
            .map_err(|why| self.damaged(&why))?;
        let train = encoder.features(&data.train, data.side)?;
        let test = encoder.features(&data.test, data.side)?;
        // Images without a label have features, which the diagnostics look at, but no say in a classifier.
        let voters = data.train.labelled();
        let rows: Vec<i64> = voters.iter().map(|&row| row.into()).collect();
        let rows = Tensor::from_slice(&rows).to_device(device);
        let labelled = Encoded {
            pooled: train.pooled.index_select(0, &rows),
            embedding: train.embedding.index_select(0, &rows),
        };
        let labels: Vec<u16> = voters.iter().map(|&row| data.train.labels[row as usize]).collect();
        let views = match evaluations.contains(&Evaluation::Diagnostics) {
            true => Some(encoder.two_views(&data.train, data.side, VIEWED)?),
            false => None,
        };
        let mut tuned = Vec::new();
        if evaluations.contains(&Evaluation::Finetune) {
            for share in SHARES {
                if !go_on(&format!("fine-tuning on {} % of the labels", 100.0 * share)) {
                    return Ok(None);
                }
                let on = (self.spec, self.trained_on, data);
                tuned.push(finetune(on, device, self.arithmetic, loaded, share)?);
            }
        }
        let subject = |train, labels, bank| Subject {
            train: Labelled { features: train, labels },
            test: Labelled { features: &test, labels: &data.test.labels },
            classes: &data.classes,
            views: views.as_ref(),
            bank,
            tuned: &tuned,
            suffix: self.other.map(|data| format!("@{}", data.name)).unwrap_or_default(),
        };
        let bank = self.other.is_none().then(|| self.slots());
        let whole = subject(&train, &data.train.labels, bank);
        let voting = subject(&labelled, &labels, None);
        let mut findings = Vec::new();
        for &evaluation in evaluations {
            if !go_on(evaluation.name()) {
                return Ok(None);
            }
            if evaluation == Evaluation::Layers {
                let all: Vec<u32> = (0..data.test.len() as u32).collect();
                for layer in LAYERS {
                    if !go_on(&format!("layers: {layer}")) {
                        return Ok(None);
                    }
                    let train = encoder.map(layer, &data.train, &voters, data.side)?;
                    let test = encoder.map(layer, &data.test, &all, data.side)?;
                    findings.extend(voting.feature_map(layer, train, test));
                }
            }
            let subject = if needs_labels(evaluation) { &voting } else { &whole };
            findings.extend(subject.put(evaluation));
        }
        Ok(Some(findings))
    }

    /// The memory bank of the checkpoint, with the age of its rows.
    fn slots(&self) -> Slots {
        let Examinee { spec, trained_on, loaded, .. } = self;
        let (n, step) = (trained_on.train.len(), loaded.meta.step);
        let trains = !matches!(spec.objective.kind, ObjectiveKind::Random {});
        Slots {
            rows: loaded.tensors["bank"].to_device(self.device),
            ages: trains.then(|| ages(spec.seed, n, spec.train.batch_size, step)),
            step,
        }
    }

    fn damaged(&self, why: &str) -> ExamineError {
        ExamineError::Damaged(format!("step-{}: {why}", self.loaded.meta.step))
    }

    /// Writes findings into the journal, and the headlines among them as points of their metrics.
    ///
    /// # Errors
    /// A journal that cannot be written.
    pub fn tell(&self, journal: &Writer, findings: &[Finding]) -> Result<(), WriteError> {
        let (step, sec) = (self.loaded.meta.step, self.loaded.meta.sec);
        let headlines = || findings.iter().filter(|finding| finding.headline);
        let metrics = headlines().map(|finding| finding.metric.clone()).collect();
        journal.write(Event::Declare(Declare { metrics }))?;
        for finding in findings {
            journal.write(Event::Eval(Eval {
                step,
                metric: finding.metric.name.clone(),
                value: Number(finding.value),
                settings: serde_json::from_value(finding.settings.clone()).unwrap_or_default(),
            }))?;
        }
        let m = headlines().map(|finding| (finding.metric.name.clone(), Number(finding.value)));
        let batches = Batches::new(self.trained_on.train.len(), self.spec.train.batch_size);
        let epoch = step as f64 / batches.count() as f64;
        journal.write(Event::Point(Point { step, epoch, sec, m: m.collect() }))?;
        journal.sync()
    }
}

/// Whether it says something about test images by the labels of training images.
fn needs_labels(evaluation: Evaluation) -> bool {
    matches!(
        evaluation,
        Evaluation::Knn
            | Evaluation::Svm
            | Evaluation::Linear
            | Evaluation::Layers
            | Evaluation::Finetune
    )
}

/// Refuses what the data set has no labels for, of whose training images `n_labelled` have one.
fn votes(
    evaluation: Evaluation,
    data: &Dataset,
    n_labelled: usize,
    key: &'static str,
) -> Result<(), ExamineError> {
    let why = match (n_labelled, data.shares_classes()) {
        _ if !needs_labels(evaluation) => return Ok(()),
        (0, _) => "training images have no label",
        (_, false) => "training and test images have no class in common",
        (_, true) => return Ok(()),
    };
    let (name, found) = (data.name.clone(), evaluation.name());
    let allowed = Evaluation::ALL.into_iter().filter(|&it| !needs_labels(it));
    let allowed = allowed.map(Evaluation::name).collect::<Vec<_>>().join(", ");
    Err(ExamineError::NoVotes { key, name, found, why, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::{DataSpec, DatasetKind};
    use crate::data::UNLABELLED;
    use crate::lab::Home;

    #[test]
    fn classifiers_are_refused_where_no_label_could_be_right() {
        let spec = DataSpec { fraction: 0.01, ..DataSpec::whole(DatasetKind::Shapes) };
        let mut data = crate::data::load(&spec, &Home::new("unused")).unwrap();
        let refusal = |data: &Dataset| {
            let n_labelled = data.train.labelled().len();
            assert!(votes(Evaluation::Retrieval, data, n_labelled, "--what").is_ok());
            assert!(votes(Evaluation::Diagnostics, data, n_labelled, "--what").is_ok());
            votes(Evaluation::Svm, data, n_labelled, "--what").err().map(|error| error.to_string())
        };
        assert_eq!(refusal(&data), None);
        let unseen = |label: &u16| 5 + label % 5;
        data.test.labels = data.test.labels.iter().map(unseen).collect();
        data.train.labels.iter_mut().for_each(|label| *label %= 5);
        assert_eq!(
            refusal(&data).unwrap(),
            "--what: found svm for shapes, whose training and test images have no class in common, \
             allowed: retrieval, diagnostics"
        );
        data.train.labels.fill(UNLABELLED);
        assert!(refusal(&data).unwrap().contains("whose training images have no label"));
    }
}
