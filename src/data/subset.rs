//! Which samples a run uses: some of the classes, a nested share of each.

use std::collections::BTreeMap;

use super::{DataError, UNLABELLED};
use crate::config::spec::DataSpec;
use crate::random::{self, Purpose};

/// Class names in one message.
const NAMED: usize = 20;

/// The classes that stay, as indices into all classes, ascending: a run's labels follow the data set's own order of
/// classes, whatever order `data.classes` lists them in.
pub(super) fn classes(all: &[String], wanted: Option<&[String]>) -> Result<Vec<u16>, DataError> {
    let allowed = || match all.len() {
        0..=NAMED => format!("two or more of {}", all.join(", ")),
        n => format!("two or more of {}, and {} more", all[..NAMED].join(", "), n - NAMED),
    };
    if let Some(unknown) = wanted.unwrap_or_default().iter().find(|name| !all.contains(name)) {
        let found = format!("`{unknown}`");
        return Err(DataError::Classes { found, allowed: allowed() });
    }
    let stays = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
    let kept: Vec<u16> =
        (0u16..).zip(all).filter(|(_, name)| stays(name)).map(|(c, _)| c).collect();
    if kept.len() < 2 {
        let found = match kept.first() {
            Some(&c) => format!("only `{}`", all[usize::from(c)]),
            None => "none".to_owned(),
        };
        return Err(DataError::Classes { found, allowed: allowed() });
    }
    Ok(kept)
}

/// Rows of `labels` that belong to `classes`, in order. Images without a label belong to no class: they stay only where
/// the classes are `all` there are.
pub(super) fn of_classes(labels: &[u16], classes: &[u16], all: bool) -> Vec<u32> {
    let stays = |label: u16| all || classes.binary_search(&label).is_ok();
    (0u32..).zip(labels).filter(|(_, label)| stays(**label)).map(|(row, _)| row).collect()
}

/// Parts `rows` into those that may be trained on and those that `spec.held_out` sets aside, both in order.
///
/// Each class is shuffled once by its number and a share of its end set aside: the same images under every seed and
/// fraction, so that runs that differ in those are chosen by one set. A class keeps one image to train on; images without
/// a label could be held against nothing, and none is set aside.
///
/// # Errors
/// A share of which no class has an image.
pub(super) fn held_out(
    labels: &[u16],
    rows: Vec<u32>,
    spec: &DataSpec,
) -> Result<(Vec<u32>, Vec<u32>), DataError> {
    if spec.held_out <= 0.0 {
        return Ok((rows, Vec::new()));
    }
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for (class, mut members) in by_class(labels, rows) {
        if class != UNLABELLED {
            let n = (members.len() as f64 * spec.held_out).round() as usize;
            random::stream(0, Purpose::HeldOut, class.into(), 0).shuffle(&mut members);
            held.extend(members.split_off(members.len() - n.min(members.len() - 1)));
        }
        kept.extend(members);
    }
    if held.is_empty() {
        let found = format!("{}, which is no image of any class", spec.held_out);
        return Err(DataError::HeldOut {
            found,
            allowed: "0, or a share of a class with a label that comes to one image".to_owned(),
        });
    }
    kept.sort_unstable();
    held.sort_unstable();
    Ok((kept, held))
}

fn by_class(labels: &[u16], rows: Vec<u32>) -> BTreeMap<u16, Vec<u32>> {
    let mut by_class: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
    for row in rows {
        by_class.entry(labels[row as usize]).or_default().push(row);
    }
    by_class
}

/// The share `spec.fraction` of each class among `rows`, in order.
///
/// Each class is shuffled once by (`subset_seed`, class) and a prefix of it kept, so that a smaller fraction is part of
/// every larger one, whichever other classes are in. A class keeps at least one sample; images without a label count as
/// one class.
pub(super) fn fraction(labels: &[u16], rows: Vec<u32>, spec: &DataSpec) -> Vec<u32> {
    if 1.0 <= spec.fraction {
        return rows;
    }
    let mut kept = Vec::new();
    for (class, mut members) in by_class(labels, rows) {
        let n = (members.len() as f64 * spec.fraction).round() as usize;
        random::stream(spec.subset_seed, Purpose::Subset, class.into(), 0).shuffle(&mut members);
        members.truncate(n.max(1));
        kept.extend(members);
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::tests::spec;

    fn names() -> Vec<String> {
        ["ant", "bee", "cat"].map(str::to_owned).to_vec()
    }

    #[test]
    fn classes_keep_the_order_of_the_data_set() {
        let wanted = ["cat".to_owned(), "ant".to_owned()];
        assert_eq!(classes(&names(), Some(&wanted)).unwrap(), [0, 2]);
        assert_eq!(classes(&names(), None).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn an_unknown_class_and_a_single_one_are_refused_by_name() {
        let error = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            classes(&names(), Some(&wanted)).unwrap_err().to_string()
        };
        let allowed = "allowed: two or more of ant, bee, cat";
        assert_eq!(error(&["ant", "dog"]), format!("data.classes: found `dog`, {allowed}"));
        assert_eq!(error(&["bee"]), format!("data.classes: found only `bee`, {allowed}"));
        assert_eq!(error(&[]), format!("data.classes: found none, {allowed}"));
    }

    proptest! {
        #[test]
        fn fractions_are_nested_stratified_and_ordered(
            labels in prop::collection::vec(0u16..5, 1..300),
            small in 0.01f64..1.0,
            large in 0.01f64..=1.0,
            seed in 0u64..4,
        ) {
            let (small, large) = if small <= large { (small, large) } else { (large, small) };
            let keep = |fraction| {
                let rows = (0..labels.len() as u32).collect();
                fraction_of(&labels, rows, fraction, seed)
            };
            let (few, many) = (keep(small), keep(large));
            prop_assert!(few.iter().all(|row| many.contains(row)), "{few:?} is not in {many:?}");
            prop_assert!(few.is_sorted() && many.is_sorted());
            for class in 0..5 {
                let of = |rows: &[u32]| rows.iter().filter(|&&r| labels[r as usize] == class).count();
                let n = labels.iter().filter(|&&l| l == class).count();
                let expected = ((n as f64 * small).round() as usize).max(usize::from(0 < n));
                prop_assert_eq!(of(&few), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_set_aside_is_a_share_of_each_class_and_the_same_for_every_fraction(
            labels in prop::collection::vec(prop_oneof![0u16..5, Just(UNLABELLED)], 1..300),
            share in 0.01f64..1.0,
            small in 0.01f64..1.0,
            seed in 0u64..4,
        ) {
            let all: Vec<u32> = (0..labels.len() as u32).collect();
            let of = |rows: &[u32], class| rows.iter().filter(|&&r| labels[r as usize] == class).count();
            let spec = DataSpec { held_out: share, fraction: small, subset_seed: seed, ..spec() };
            let n = |class| {
                let n = of(&all, class);
                ((n as f64 * share).round() as usize).min(n.saturating_sub(1))
            };
            let Ok((kept, held)) = held_out(&labels, all.clone(), &spec) else {
                prop_assert!((0..5).all(|class| n(class) == 0));
                return Ok(());
            };
            prop_assert!(kept.is_sorted() && held.is_sorted());
            let mut both = [kept.clone(), held.clone()].concat();
            both.sort_unstable();
            prop_assert_eq!(both, all.clone(), "each row is in one of them");
            for class in 0..5 {
                prop_assert_eq!(of(&held, class), n(class));
            }
            prop_assert_eq!(of(&held, UNLABELLED), 0);
            let other = DataSpec { subset_seed: seed + 1, fraction: 1.0, ..spec.clone() };
            prop_assert_eq!(&held_out(&labels, all, &other).unwrap().1, &held);
            let trained = fraction(&labels, kept, &spec);
            prop_assert!(trained.iter().all(|row| !held.contains(row)));
        }
    }

    #[test]
    fn a_share_without_an_image_is_refused() {
        let few = DataSpec { held_out: 0.01, ..spec() };
        let refused = held_out(&[0, 0, 1, 1], (0..4).collect(), &few).unwrap_err().to_string();
        assert!(refused.starts_with("data.held_out: found 0.01, which is no image of any class"));
        let unlabelled =
            held_out(&[UNLABELLED; 9], (0..9).collect(), &DataSpec { held_out: 0.5, ..spec() });
        assert!(unlabelled.is_err());
    }

    fn fraction_of(labels: &[u16], rows: Vec<u32>, share: f64, subset_seed: u64) -> Vec<u32> {
        fraction(labels, rows, &DataSpec { fraction: share, subset_seed, ..spec() })
    }

    #[test]
    fn a_class_keeps_the_same_samples_whichever_other_classes_are_in() {
        let labels: Vec<u16> = (0..60).map(|i| i % 3).collect();
        let all = fraction_of(&labels, of_classes(&labels, &[0, 1, 2], true), 0.3, 1);
        let two = fraction_of(&labels, of_classes(&labels, &[0, 2], false), 0.3, 1);
        let expected: Vec<u32> = all.into_iter().filter(|&row| labels[row as usize] != 1).collect();
        assert_eq!(two, expected);
    }
}
