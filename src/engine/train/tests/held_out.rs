//! Images held out choose an epoch, and have no other part in a run.

use super::*;

/// Fifty images of each class are set aside, whatever part of the others is trained on.
fn choosing() -> RunSpec {
    let mut spec = spec();
    spec.data.held_out = 0.05;
    spec.train.epochs = 6;
    spec.train.checkpoint_every = 100;
    spec.eval.every = 1;
    spec
}

/// (step, value) of a metric, in order.
fn curve(values: &BTreeMap<(u64, String), u64>, metric: &str) -> Vec<(u64, f64)> {
    let of = values.iter().filter(|((_, name), _)| name == metric);
    of.map(|((step, _), bits)| (*step, f64::from_bits(*bits))).collect()
}

#[test]
fn the_epoch_that_images_held_out_think_best_of_is_told_and_kept() {
    let spec = choosing();
    let data = dataset(&spec);
    assert_eq!(data.held_out.len(), 500);
    let dir = tempfile::tempdir().unwrap();
    let (_, told) = train(&spec, &data, dir.path(), None, None).unwrap();
    let values = told.values();
    let [held, test, selected] =
        ["knn_top1_held_out", "knn_top1", "knn_top1_selected"].map(|name| curve(&values, name));
    assert_eq!(held.len(), 6);
    let mut best = 0;
    for i in 0..held.len() {
        if held[best].1 < held[i].1 {
            best = i;
        }
        assert_eq!(selected[i], (test[i].0, test[best].1), "evaluation {i}");
    }
    assert_ne!(best, 5, "the last was to be no better, or this shows little: {held:?}");
    let chosen = newest(dir.path()).meta.selected.unwrap();
    assert_eq!(
        (chosen.step, chosen.held_out, chosen.test),
        (held[best].0, held[best].1, test[best].1)
    );
    assert_eq!(checkpoint::load(dir.path(), chosen.step).unwrap().meta.step, chosen.step);

    // Held out means that the run itself is the one without them.
    let mut without = data.clone();
    without.held_out = Default::default();
    let elsewhere = tempfile::tempdir().unwrap();
    let (_, told) = train(&spec, &without, elsewhere.path(), None, None).unwrap();
    let mut rest = values.clone();
    rest.retain(|(_, name), _| name != "knn_top1_held_out" && name != "knn_top1_selected");
    assert_eq!(told.values(), rest);
    assert_eq!(newest(elsewhere.path()).meta.selected, None);
}

#[test]
fn a_resumed_run_knows_what_was_selected_before() {
    let spec = choosing();
    let data = dataset(&spec);
    let unbroken = tempfile::tempdir().unwrap();
    let (_, told) = train(&spec, &data, unbroken.path(), None, None).unwrap();
    let (expected, last) = (told.values(), newest(unbroken.path()).meta);
    for stop_after in [6, 14, 21] {
        let dir = tempfile::tempdir().unwrap();
        let (_, before) = train(&spec, &data, dir.path(), None, Some(stop_after)).unwrap();
        let (_, after) = train(&spec, &data, dir.path(), Some(newest(dir.path())), None).unwrap();
        let mut values = before.values();
        values.extend(after.values());
        assert_eq!(values, expected, "stopped after {stop_after}");
        assert_eq!(newest(dir.path()).meta, last, "stopped after {stop_after}");
    }
}

#[test]
fn nothing_is_selected_where_nothing_can_vote() {
    let spec = choosing();
    let mut data = dataset(&spec);
    data.train.labels.fill(UNLABELLED);
    let dir = tempfile::tempdir().unwrap();
    let refused = train(&spec, &data, dir.path(), None, None).err().unwrap().to_string();
    assert!(refused.contains("data.held_out: found 0.05"), "{refused}");
    assert!(refused.contains("no training image has a label, allowed: 0"), "{refused}");
}
