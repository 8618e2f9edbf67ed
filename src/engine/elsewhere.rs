//! Other data sets than a run's own, for its network to be examined on.

use super::eval::suite::Finding;
use super::examine::{ExamineError, Examinee, check};
use crate::config::RunSpec;
use crate::config::elsewhere::Elsewhere;
use crate::config::evaluation::Evaluation;
use crate::config::spec::DataSpec;
use crate::data::{self, Dataset};
use crate::lab::Home;

/// All of `on`, its images brought to the `side` in pixels that the run of `spec` was trained on where the format leaves a
/// choice. `key` is who asks for it.
///
/// # Errors
/// Files that are not there or not what they should be, images of another size.
pub fn load(
    on: &Elsewhere,
    (spec, side): (&RunSpec, usize),
    home: &Home,
    key: &'static str,
) -> Result<Dataset, ExamineError> {
    let DataSpec { bad_images, crop, .. } = spec.data;
    let whole = DataSpec { side: Some(side as u32), crop, bad_images, ..on.spec() };
    let found = data::load(&whole, home).map_err(|why| ExamineError::Elsewhere { key, why })?;
    if found.side == side {
        Ok(found)
    } else {
        let name = found.name.clone();
        Err(ExamineError::Side { key, name, found: found.side, allowed: side })
    }
}

/// The sets that a run evaluates itself on beside its own (`eval.on`), loaded one at a time.
pub struct Others<'a> {
    sets: Vec<&'a Elsewhere>,
    spec: &'a RunSpec,
    side: usize,
    home: Home,
}

/// Who asks for them.
const KEY: &str = "eval.on";

impl<'a> Others<'a> {
    /// Those of `spec`, whose images have `side` pixels; none where it evaluates nothing at its end.
    pub fn of(spec: &'a RunSpec, side: usize, home: Home) -> Self {
        let is_asked = |on: &&Elsewhere| !spec.eval.finally.is_empty() && !on.is_own(&spec.data);
        Others { sets: spec.eval.on.iter().filter(is_asked).collect(), spec, side, home }
    }

    /// Loads each, so that days of training are not for nothing, without keeping it meanwhile. Which evaluations are left
    /// out, and on which set.
    ///
    /// # Errors
    /// Those of [`load`], and a set on which none is left.
    pub fn check(&self) -> Result<Vec<(Evaluation, String)>, ExamineError> {
        let mut left_out = Vec::new();
        for on in &self.sets {
            let (other, _, cannot) = self.load(on)?;
            left_out.extend(cannot.into_iter().map(|it| (it, other.name.clone())));
        }
        Ok(left_out)
    }

    /// What `own`, asked about each of them, finds; none where `go_on` says so.
    ///
    /// # Errors
    /// Those of [`Others::check`] and of [`Examinee::examine`].
    pub fn examine(
        &self,
        own: &Examinee,
        go_on: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Vec<Finding>>, ExamineError> {
        let mut findings = Vec::new();
        for on in &self.sets {
            let (other, can, _) = self.load(on)?;
            let examinee = Examinee { other: Some(&other), ..*own };
            let Some(found) = examinee.examine(&can, go_on)? else { return Ok(None) };
            findings.extend(found);
        }
        Ok(Some(findings))
    }

    fn load(
        &self,
        on: &Elsewhere,
    ) -> Result<(Dataset, Vec<Evaluation>, Vec<Evaluation>), ExamineError> {
        let other = load(on, (self.spec, self.side), &self.home, KEY)?;
        let (can, cannot) = allowed(&self.spec.eval.finally, &other, KEY)?;
        Ok((other, can, cannot))
    }
}

/// Of `evaluations` those that the labels of `data` allow, one at least, and those that they do not.
///
/// # Errors
/// None is left.
fn allowed(
    evaluations: &[Evaluation],
    data: &Dataset,
    key: &'static str,
) -> Result<(Vec<Evaluation>, Vec<Evaluation>), ExamineError> {
    let can = |it: &Evaluation| check(&[*it], data, key).is_ok();
    let (can, cannot): (Vec<_>, Vec<_>) = evaluations.iter().partition(|it| can(it));
    if can.is_empty() {
        check(&cannot, data, key)?;
    }
    Ok((can, cannot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::DatasetKind;
    use crate::data::UNLABELLED;

    #[test]
    fn what_labels_do_not_allow_is_left_out_and_refused_where_nothing_is_left() {
        let spec = DataSpec { fraction: 0.01, ..DataSpec::whole(DatasetKind::Shapes) };
        let mut data = data::load(&spec, &Home::new("unused")).unwrap();
        let asked = [Evaluation::Linear, Evaluation::Retrieval];
        let found = allowed(&asked, &data, "eval.on").unwrap();
        assert_eq!(found, (asked.to_vec(), Vec::new()));
        data.train.labels.fill(UNLABELLED);
        let found = allowed(&asked, &data, "eval.on").unwrap();
        assert_eq!(found, (vec![Evaluation::Retrieval], vec![Evaluation::Linear]));
        let refused = allowed(&asked[..1], &data, "eval.on").unwrap_err().to_string();
        assert!(refused.starts_with("eval.on: found linear for shapes"), "{refused}");
    }
}
