//! One run on its way out: what is read of it is read once, however many files it goes into.

use std::cell::OnceCell;
use std::collections::HashMap;

use color_eyre::eyre::Result;

use crate::cli::step::StepArg;
use crate::cli::{Context, bad_input};
use crate::config::{RunSpec, keys};
use crate::data::{self, Dataset};
use crate::report::shown;
use crate::saved::Saved;
use crate::store::{CurvePoint, RunRow, Store};

pub type Curves = Vec<(String, Vec<CurvePoint>)>;

pub struct Subject<'a> {
    context: &'a Context,
    store: &'a Store,
    pub run: RunRow,
    step: StepArg,
    saved: OnceCell<Saved>,
    data: OnceCell<Result<Dataset, String>>,
    curves: OnceCell<Curves>,
}

impl<'a> Subject<'a> {
    pub fn new(context: &'a Context, store: &'a Store, run: RunRow, step: StepArg) -> Self {
        let (saved, data, curves) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { context, store, run, step, saved, data, curves }
    }

    pub fn spec(&self) -> Result<RunSpec> {
        Ok(serde_json::from_str(self.run.spec.text())?)
    }

    /// A value of the specification in words.
    pub fn setting(&self, key: &str) -> String {
        shown(keys::value(&self.run.spec, key))
    }

    pub fn saved(&self) -> Result<&Saved> {
        if let Some(saved) = self.saved.get() {
            return Ok(saved);
        }
        let dir = self.context.home.run(&self.run.id);
        let step = self.step.of(&dir)?;
        let saved = Saved::open(&dir, step).map_err(|why| bad_input(why.to_string()))?;
        Ok(self.saved.get_or_init(|| saved))
    }

    /// The images it was trained on, or why they are not to be had: they may be elsewhere by now.
    pub fn data(&self) -> Result<Result<&Dataset, &str>> {
        let spec = self.spec()?;
        let load = || data::load(&spec.data, &self.context.home).map_err(|why| why.to_string());
        Ok(self.data.get_or_init(load).as_ref().map_err(String::as_str))
    }

    pub async fn curves(&self) -> Result<&Curves> {
        if let Some(curves) = self.curves.get() {
            return Ok(curves);
        }
        let mut curves = Vec::new();
        for metric in self.store.metrics(&self.run.id).await? {
            let points = self.store.curve(&self.run.id, &metric, None).await?;
            curves.push((metric, points));
        }
        Ok(self.curves.get_or_init(|| curves))
    }

    /// What whoever loads the weights has to know.
    pub fn notes(&self) -> Result<HashMap<String, String>> {
        let stem = self.spec()?.model.stem;
        let unknown = |why: &str| format!("unknown: {why}");
        let (mean, std, side, stem) = match self.data()? {
            Ok(Dataset { mean, std, side, .. }) => {
                let stem = stem.resolved(*side).as_str().to_owned();
                (format!("{mean:?}"), format!("{std:?}"), side.to_string(), stem)
            }
            Err(why) => (unknown(why), unknown(why), unknown(why), stem.as_str().to_owned()),
        };
        Ok(HashMap::from([
            ("run".to_owned(), self.run.id.clone()),
            ("step".to_owned(), self.saved()?.step.to_string()),
            ("backbone".to_owned(), self.setting("model.backbone")),
            ("width".to_owned(), self.setting("model.width")),
            ("dataset".to_owned(), self.setting("data.dataset")),
            // A stem for small images has a first convolution of another stride, and no pooling behind it: no tensor tells.
            ("stem".to_owned(), stem),
            ("side".to_owned(), side),
            ("mean".to_owned(), mean),
            ("std".to_owned(), std),
        ]))
    }
}
