//! Evaluating a checkpoint after the fact: the run's own network, more questions, answers into its journal, or features
//! into a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

use super::attempt::{AttemptError, home_of, lock, read_spec};
use super::checkpoint::{self, Loaded};
use super::device::{self, Share};
use super::elsewhere;
use super::encoder::Encoder;
use super::environment::Environment;
use super::examine::{ExamineError, Examinee, check};
use super::models::{Arithmetic, Encoded};
use crate::config::RunSpec;
use crate::config::elsewhere::Elsewhere;
use crate::config::evaluation::Evaluation;
use crate::data::{self, DataError, Dataset, UNLABELLED};
use crate::files::{PARTIAL, beside};
use crate::journal::writer::{Clock, WriteError, Writer};
use crate::lab::RunDir;

/// What to evaluate, on what.
pub struct Request {
    pub dir: RunDir,
    pub evaluations: Vec<Evaluation>,
    /// Step of the checkpoint; the newest without.
    pub step: Option<u64>,
    /// Another data set than the run's own.
    pub on: Option<Elsewhere>,
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
    Examine(#[from] ExamineError),
    #[error(transparent)]
    Journal(#[from] WriteError),
    #[error("{dir}: found no checkpoint{of}, allowed: {allowed}")]
    NoCheckpoint { dir: String, of: String, allowed: String },
    #[error("{0}")]
    Damaged(String),
    #[error(
        "{dir} began to train again meanwhile, so nothing was written: evaluate it once it has ended"
    )]
    GoneOn { dir: String },
    #[error(
        "the data set is not the one this run was trained on: found {found}, allowed: {expected}"
    )]
    DataChanged { found: String, expected: String },
    #[error("cannot write {}: {why}", path.display())]
    Write { path: PathBuf, why: String },
}

impl EvaluateError {
    /// 2 for what a person must mend, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            EvaluateError::Run(why) => why.exit_code(),
            EvaluateError::Journal(_) | EvaluateError::GoneOn { .. } => 1,
            _ => 2,
        }
    }
}

/// Evaluates and writes every finding into the journal, all or none of them; how many there are. `say` hears what is
/// done as it begins.
///
/// The run's lock is held while something is written, and not for the minutes before: a run that is told to go on must
/// not fail for want of it.
pub fn make(request: &Request, say: &dyn Fn(&str)) -> Result<usize, EvaluateError> {
    // Who trains now is told at once.
    drop(lock(&request.dir)?);
    let claim = || std::fs::read(request.dir.claim()).ok();
    let claimed = claim();
    let length = journal_length(&request.dir);
    let opened = open(request, say)?;
    check(&request.evaluations, opened.asked_of(), "--what")?;
    let examinee = Examinee {
        spec: &opened.spec,
        trained_on: &opened.own,
        other: opened.other.as_ref(),
        device: opened.device,
        arithmetic: opened.arithmetic,
        loaded: &opened.loaded,
    };
    let go_on = |what: &str| {
        say(what);
        true
    };
    let findings = examinee.examine(&request.evaluations, &go_on)?.unwrap_or_default();
    let gone_on = || EvaluateError::GoneOn { dir: request.dir.path().display().to_string() };
    let _lock = lock(&request.dir).map_err(|why| match why {
        AttemptError::Locked { .. } => gone_on(),
        why => why.into(),
    })?;
    if claim() != claimed || began_since(&request.dir, length) {
        return Err(gone_on());
    }
    let journal = Writer::append(&request.dir, request.clock.clone())?;
    examinee.tell(&journal, &findings)?;
    Ok(findings.len())
}

/// Writes what the network makes of the test images, in their order, as safetensors: `pooled` (N, C) and unit `embedding`
/// (N, D) in fp32, `labels` (N) with −1 where there is none. The file is whole or absent, and the run is left alone.
pub fn features(request: &Request, to: &Path, say: &dyn Fn(&str)) -> Result<(), EvaluateError> {
    let it = open(request, say)?;
    say("encoding images");
    let damaged = |why| EvaluateError::Damaged(format!("step-{}: {why}", it.loaded.meta.step));
    let encoder = Encoder::new(&it.spec, &it.own, it.device, it.arithmetic, &it.loaded);
    let data = it.asked_of();
    let Encoded { pooled, embedding } =
        encoder.map_err(damaged)?.features(&data.test, data.side)?;
    let number = |&label: &u16| if label == UNLABELLED { -1 } else { i64::from(label) };
    let labels: Vec<i64> = data.test.labels.iter().map(number).collect();
    let on_cpu = |rows: Tensor| rows.to_device(Device::Cpu).contiguous();
    let named = [
        ("pooled", on_cpu(pooled)),
        ("embedding", on_cpu(embedding)),
        ("labels", Tensor::from_slice(&labels)),
    ];
    let partial = beside(to, PARTIAL);
    let written = Tensor::write_safetensors(&named, &partial).map_err(|why| why.to_string());
    let renamed = written.and_then(|()| std::fs::rename(&partial, to).map_err(|e| e.to_string()));
    renamed.map_err(|why| EvaluateError::Write { path: to.to_owned(), why })
}

/// A checkpoint, and the images that it is asked about.
struct Opened {
    spec: RunSpec,
    device: Device,
    arithmetic: Arithmetic,
    loaded: Loaded,
    own: Dataset,
    other: Option<Dataset>,
}

impl Opened {
    fn asked_of(&self) -> &Dataset {
        self.other.as_ref().unwrap_or(&self.own)
    }
}

fn open(request: &Request, say: &dyn Fn(&str)) -> Result<Opened, EvaluateError> {
    let spec = read_spec(&request.dir)?;
    let device = device::parse(&request.device).map_err(AttemptError::from)?;
    let here = Environment::here(&spec.train, device, Share::ALL);
    let environment = Environment::read(&request.dir.env()).unwrap_or(here);
    device::pin_threads(environment.threads);
    let loaded = find(request)?;

    say("loading images");
    let known = &loaded.meta.data_fingerprint;
    let own = data::load_again(&spec.data, &home_of(&request.dir), known)?;
    if own.fingerprint != loaded.meta.data_fingerprint {
        let expected = loaded.meta.data_fingerprint;
        return Err(EvaluateError::DataChanged { found: own.fingerprint, expected });
    }
    let home = home_of(&request.dir);
    let load = |on: &Elsewhere| elsewhere::load(on, (&spec, own.side), &home, "--on");
    let other = request.on.as_ref().map(load).transpose()?;
    let arithmetic = environment.arithmetic();
    Ok(Opened { spec, device, arithmetic, loaded, own, other })
}

fn journal_length(dir: &RunDir) -> u64 {
    std::fs::metadata(dir.journal()).map_or(0, |file| file.len())
}

/// Whether a trainer has begun since the journal was so long: it may have ended again, and what was found here is of a
/// checkpoint before it.
fn began_since(dir: &RunDir, length: u64) -> bool {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(dir.journal())?;
        file.seek(SeekFrom::Start(length))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(text)
    };
    // A start is a line's first word after its version; a journal that has become shorter was begun anew.
    let is_start = |line: &[u8]| line.windows(START.len()).any(|part| part == START);
    journal_length(dir) < length
        || read().is_ok_and(|text| text.split(|byte| *byte == b'\n').any(is_start))
}

/// How the journal writes a `start`; quotes within its texts are escaped.
const START: &[u8] = b"\"t\":\"start\"";

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
