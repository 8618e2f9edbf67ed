//! What a run is not begun or not gone on with, and what it only warns of.

use super::*;

#[test]
fn a_changed_data_set_is_refused() {
    let spec = spec();
    let mut data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    train(&spec, &data, dir.path(), None, Some(2)).unwrap();
    data.fingerprint = "another".to_owned();
    let error = train(&spec, &data, dir.path(), Some(newest(dir.path())), None).err().unwrap();
    assert!(error.to_string().contains("not the one this run started with"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_names_the_last_good_checkpoint() {
    let mut spec = spec();
    let data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    train(&spec, &data, dir.path(), None, Some(2)).unwrap();
    spec.train.lr = f64::MAX;
    let error = train(&spec, &data, dir.path(), Some(newest(dir.path())), None).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("step 4") && text.contains("last good checkpoint: step-2"), "{text}");
}

/// The last update before it may have spoilt what no loss has seen yet; every retry would go on from there.
#[test]
fn a_checkpoint_of_what_is_no_number_is_not_made() {
    let mut spec = spec();
    (spec.train.batch_size, spec.train.lr, spec.eval.every) = (100, f64::MAX, 3);
    let data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    let error = train(&spec, &data, dir.path(), None, None).err().unwrap().to_string();
    assert!(error.starts_with("model.") && error.contains(" at step 1; "), "{error}");
    assert!(checkpoint::committed(dir.path()).is_empty());
}

#[test]
fn more_neighbours_than_the_bank_has_are_refused() {
    let mut spec = spec();
    spec.eval.knn_k = 101;
    let mut data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    let error = train(&spec, &data, dir.path(), None, None).err().unwrap().to_string();
    let said =
        "eval.knn_k: found 101 for a bank of 100 labelled images of shapes, allowed: at most 100";
    assert!(error.starts_with(said), "{error}");
    // Where nobody votes, it means nothing.
    data.train.labels.fill(UNLABELLED);
    spec.train.epochs = 1;
    train(&spec, &data, dir.path(), None, None).unwrap();
}

#[test]
fn negatives_that_outnumber_the_instances_are_warned_of() {
    let mut spec = spec();
    let data = dataset(&spec);
    spec.train.epochs = 1;
    let dir = tempfile::tempdir().unwrap();
    let warned =
        |spec: &RunSpec| train(spec, &data, dir.path(), None, None).unwrap().1.warns("m_exceeds_n");
    assert!(!warned(&spec));
    let ObjectiveKind::Nce { m, .. } = &mut spec.objective.kind else { unreachable!() };
    *m = 100;
    assert!(warned(&spec));
}

#[test]
fn embeddings_that_are_no_numbers_end_the_run_by_name() {
    let spec = spec();
    let data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(job(&spec, &data, dir.path()), None).unwrap();
    for (_, buffer) in trainer.params.buffers() {
        drop(buffer.shallow_clone().fill_(f64::NAN));
    }
    let error = trainer.evaluate(&mut Told::default()).unwrap_err().to_string();
    assert_eq!(error, "embedding is NaN at step 0; there is no checkpoint yet");
}

#[test]
fn a_set_smaller_than_a_batch_and_labels_that_are_not_there_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec();
    let mut data = dataset(&spec);
    let refusal = |spec: &RunSpec, data: &Dataset| {
        let error = train(spec, data, dir.path(), None, None).err().unwrap();
        let text = error.to_string();
        assert_eq!(crate::engine::attempt::AttemptError::from(error).exit_code(), 2);
        text
    };
    spec.train.batch_size = 101;
    assert_eq!(
        refusal(&spec, &data),
        "train.batch_size: found 101 for 100 training images of shapes, allowed: at most 100, or more images"
    );
    spec.train.batch_size = 32;
    spec.objective.kind = ObjectiveKind::Supervised { tau: 0.1 };
    data.train.labels[3] = UNLABELLED;
    let text = refusal(&spec, &data);
    assert!(text.starts_with("objective.kind: found supervised for images of shapes"), "{text}");
}

#[test]
fn a_loss_that_stays_at_chance_is_a_warning() {
    let mut spec = spec();
    (spec.train.epochs, spec.objective.lambda) = (6, 0.0);
    // A bank of random rows that nothing moves: the loss lies above ln n.
    spec.objective.kind = ObjectiveKind::Nonparametric { tau: 0.2 };
    (spec.objective.bank_init, spec.objective.bank_momentum) = (BankInit::Random, 1.0);
    let data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    spec.train.lr = 1e-9;
    let (_, events) = train(&spec, &data, dir.path(), None, None).unwrap();
    let text = events.warning("loss_at_chance").unwrap();
    assert!(text.contains("few instances are told") && text.contains("objective.lambda"), "{text}");

    // A classifier of clusters that forgets at every epoch and learns nothing in one: no instance, no λ is at fault.
    spec.objective.kind = ObjectiveKind::Deepcluster { tau: 0.2, clusters: 16, reassign_every: 1 };
    let dir = tempfile::tempdir().unwrap();
    let (_, events) = train(&spec, &data, dir.path(), None, None).unwrap();
    let text = events.warning("loss_at_chance").unwrap();
    assert!(text.contains("few clusters are told") && !text.contains("lambda"), "{text}");
}
