//! Evaluating a checkpoint after the fact: the run's own network, more questions, answers into its journal.

use std::path::PathBuf;

use tch::Tensor;

use super::attempt::{AttemptError, home_of, lock, read_spec};
use super::checkpoint::{self, Loaded};
use super::device;
use super::encoder::Encoder;
use super::environment::Environment;
use super::eval::suite::{Finding, Labelled, Subject};
use super::models::Encoded;
use crate::config::RunSpec;
use crate::config::evaluation::Evaluation;
use crate::config::spec::{DataSpec, DatasetKind};
use crate::data::{self, DataError, Dataset};
use crate::journal::event::{Declare, Eval, Event, Number, Point};
use crate::journal::writer::{Clock, WriteError, Writer};
use crate::lab::RunDir;

/// Training images whose two views alignment is measured on.
const VIEWED: usize = 1000;

/// What to evaluate, on what.
pub struct Request {
    pub dir: RunDir,
    pub evaluations: Vec<Evaluation>,
    /// Step of the checkpoint; the newest without.
    pub step: Option<u64>,
    /// Another data set than the run's own, whole, and where it lies.
    pub on: Option<(DatasetKind, Option<PathBuf>)>,
    /// `cpu` or `cuda:<i>`.
    pub device: String,
    pub clock: Clock,
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Run(#[from] AttemptError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Journal(#[from] WriteError),
    #[error("{dir}: found no checkpoint{of}, allowed: {allowed}")]
    NoCheckpoint { dir: String, of: String, allowed: String },
    #[error("{0}")]
    Damaged(String),
    #[error(
        "the data set is not the one this run was trained on: found {found}, allowed: {expected}"
    )]
    DataChanged { found: String, expected: String },
    #[error("{name}: found {n} classes, allowed: two or more with images in both splits")]
    Classes { name: String, n: usize },
    #[error("--what: found {found} for {name}, whose {why}, allowed: {allowed}")]
    NoVotes { name: String, found: &'static str, why: &'static str, allowed: String },
}

impl EvaluateError {
    /// 2 for what a person must mend, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            EvaluateError::Run(why) => why.exit_code(),
            EvaluateError::Journal(_) => 1,
            _ => 2,
        }
    }
}

/// Evaluates and writes every finding into the journal, all or none of them; how many there are. `say` hears what is
/// done as it begins.
pub fn make(request: &Request, say: &dyn Fn(&str)) -> Result<usize, EvaluateError> {
    let _lock = lock(&request.dir)?;
    let spec = read_spec(&request.dir)?;
    let device = device::parse(&request.device).map_err(AttemptError::from)?;
    let here = Environment::here(&spec.train, device);
    let environment = Environment::read(&request.dir.env()).unwrap_or(here);
    device::pin_threads(environment.threads);
    let loaded = find(request)?;

    say("loading images");
    let own = data::load(&spec.data, &home_of(&request.dir))?;
    if own.fingerprint != loaded.meta.data_fingerprint {
        let expected = loaded.meta.data_fingerprint;
        return Err(EvaluateError::DataChanged { found: own.fingerprint, expected });
    }
    let other = request
        .on
        .as_ref()
        .map(|on| elsewhere(&spec.data, own.side, on, &request.dir))
        .transpose()?;
    let data = other.as_ref().unwrap_or(&own);
    let n_classes = data.classes.len();
    if n_classes < 2 || data.train.is_empty() || data.test.is_empty() {
        return Err(EvaluateError::Classes { name: data.name.clone(), n: n_classes });
    }

    let voters = data.train.labelled();
    for &evaluation in &request.evaluations {
        votes(evaluation, data, voters.len())?;
    }

    say("encoding images");
    let encoder = Encoder::new(&spec, &own, device, environment.arithmetic(), &loaded)
        .map_err(|why| EvaluateError::Damaged(format!("step-{}: {why}", loaded.meta.step)))?;
    let train = encoder.features(&data.train, data.side)?;
    let test = encoder.features(&data.test, data.side)?;
    // Images without a label have features, which the diagnostics look at, but no say in a classifier.
    let rows: Vec<i64> = voters.iter().map(|&row| row.into()).collect();
    let rows = Tensor::from_slice(&rows).to_device(device);
    let labelled = Encoded {
        pooled: train.pooled.index_select(0, &rows),
        embedding: train.embedding.index_select(0, &rows),
    };
    let labels: Vec<u16> = voters.iter().map(|&row| data.train.labels[row as usize]).collect();
    let views = encoder.two_views(&data.train, data.side, VIEWED)?;
    let maps = if request.evaluations.contains(&Evaluation::Layers) {
        say("encoding feature maps");
        let train = encoder.maps(&data.train, data.side)?;
        let test = encoder.maps(&data.test, data.side)?;
        let pairs = train.into_iter().zip(test);
        pairs.map(|((name, train), (_, test))| (name, train.index_select(0, &rows), test)).collect()
    } else {
        Vec::new()
    };
    let subject = |train, labels, bank| Subject {
        train: Labelled { features: train, labels },
        test: Labelled { features: &test, labels: &data.test.labels },
        classes: &data.classes,
        maps: &maps,
        views: views.each_ref().map(Tensor::shallow_clone),
        bank,
        suffix: other.as_ref().map(|data| format!("@{}", data.name)).unwrap_or_default(),
    };
    let bank = other.is_none().then(|| loaded.tensors["bank"].to_device(device));
    let whole = subject(&train, &data.train.labels, bank);
    let voting = subject(&labelled, &labels, None);
    let mut findings = Vec::new();
    for &evaluation in &request.evaluations {
        say(evaluation.name());
        let subject = if is_classifier(evaluation) { &voting } else { &whole };
        findings.extend(subject.put(evaluation));
    }
    let journal = Writer::append(&request.dir, request.clock.clone())?;
    tell(&journal, &spec, &own, &loaded, &findings)?;
    Ok(findings.len())
}

/// Whether it says something about test images by the labels of training images.
fn is_classifier(evaluation: Evaluation) -> bool {
    matches!(
        evaluation,
        Evaluation::Knn | Evaluation::Svm | Evaluation::Linear | Evaluation::Layers
    )
}

/// Refuses what the data set has no labels for, of whose training images `n_labelled` have one.
fn votes(evaluation: Evaluation, data: &Dataset, n_labelled: usize) -> Result<(), EvaluateError> {
    let why = match (n_labelled, data.shares_classes()) {
        _ if !is_classifier(evaluation) => return Ok(()),
        (0, _) => "training images have no label",
        (_, false) => "training and test images have no class in common",
        (_, true) => return Ok(()),
    };
    let (name, found) = (data.name.clone(), evaluation.name());
    let allowed = Evaluation::ALL.into_iter().filter(|&it| !is_classifier(it));
    let allowed = allowed.map(Evaluation::name).collect::<Vec<_>>().join(", ");
    Err(EvaluateError::NoVotes { name, found, why, allowed })
}

/// The checkpoint that was asked for.
fn find(request: &Request) -> Result<Loaded, EvaluateError> {
    let dir = request.dir.checkpoints();
    let Some(step) = request.step else {
        let (newest, damaged) = checkpoint::load_newest(&dir);
        let why = damaged.into_iter().next();
        return newest
            .ok_or_else(|| why.map_or_else(|| none(request, None), EvaluateError::Damaged));
    };
    if !checkpoint::committed(&dir).contains(&step) {
        return Err(none(request, Some(step)));
    }
    checkpoint::load(&dir, step).map_err(EvaluateError::Damaged)
}

fn none(request: &Request, step: Option<u64>) -> EvaluateError {
    let steps = checkpoint::committed(&request.dir.checkpoints());
    let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
    EvaluateError::NoCheckpoint {
        dir: request.dir.path().display().to_string(),
        of: step.map(|step| format!(" of step {step}")).unwrap_or_default(),
        allowed: if steps.is_empty() {
            "a run that has trained".to_owned()
        } else {
            steps.join(", ")
        },
    }
}

/// Another data set, all of it, its images brought to the `side` that the run was trained on where the format leaves a
/// choice.
fn elsewhere(
    own: &DataSpec,
    side: usize,
    (dataset, root): &(DatasetKind, Option<PathBuf>),
    dir: &RunDir,
) -> Result<Dataset, DataError> {
    let spec = DataSpec {
        root: root.clone(),
        side: Some(side as u32),
        bad_images: own.bad_images,
        ..DataSpec::whole(*dataset)
    };
    data::load(&spec, &home_of(dir))
}

fn tell(
    journal: &Writer,
    spec: &RunSpec,
    data: &Dataset,
    loaded: &Loaded,
    findings: &[Finding],
) -> Result<(), WriteError> {
    let (step, sec) = (loaded.meta.step, loaded.meta.sec);
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
    let batch = u64::from(spec.train.batch_size);
    let steps_per_epoch = (data.train.len() as u64).div_ceil(batch).max(1);
    let epoch = step as f64 / steps_per_epoch as f64;
    journal.write(Event::Point(Point { step, epoch, sec, m: m.collect() }))?;
    journal.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::UNLABELLED;
    use crate::lab::Home;

    #[test]
    fn classifiers_are_refused_where_no_label_could_be_right() {
        let spec = DataSpec { fraction: 0.01, ..DataSpec::whole(DatasetKind::Shapes) };
        let mut data = data::load(&spec, &Home::new("unused")).unwrap();
        let refusal = |data: &Dataset| {
            let n_labelled = data.train.labelled().len();
            assert!(votes(Evaluation::Retrieval, data, n_labelled).is_ok());
            assert!(votes(Evaluation::Diagnostics, data, n_labelled).is_ok());
            votes(Evaluation::Svm, data, n_labelled).err().map(|error| error.to_string())
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
