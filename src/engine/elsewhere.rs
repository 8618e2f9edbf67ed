//! Another data set than a run's own, for its network to be examined on.

use super::examine::{ExamineError, check};
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
    let bad_images = spec.data.bad_images;
    let whole = DataSpec { side: Some(side as u32), bad_images, ..on.spec() };
    let found = data::load(&whole, home).map_err(|why| ExamineError::Elsewhere { key, why })?;
    if found.side == side {
        Ok(found)
    } else {
        let name = found.name.clone();
        Err(ExamineError::Side { key, name, found: found.side, allowed: side })
    }
}

/// Of `evaluations` those that the labels of `data` allow, one at least, and those that they do not.
///
/// # Errors
/// None is left.
pub fn allowed(
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
