//! Rows of another setting than the file's own.

use serde_json::json;

use super::super::ablation::{Options, ablation};
use super::super::again::commands;
use super::super::table::Format;
use super::{TEXT, lab, negatives};
use crate::store::{ExperimentRecord, Member, RunRow};

/// A size may take other values of what the file varies: its rows stay together, in their order.
#[test]
fn other_values_of_a_factor_are_no_other_setting() {
    let (record, mut runs) = two_sizes();
    // Those with m = 512 of the smaller size.
    for run in &mut runs[9..12] {
        run.spec.set("objective.m", json!(64));
    }
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let rows = table.rows.iter().map(|row| (row.factors.get("objective.m").cloned(), row.setting));
    let m = |m: u64, setting| (Some(json!(m)), setting);
    let small = [m(64, Some(0)), m(4096, Some(0)), (None, Some(0))];
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [&[m(512, None), m(4096, None), (None, None)][..], &small].concat()
    );
}

/// The runs of a file and those of its smaller size, as they lie in a run log when both were queued.
fn two_sizes() -> (ExperimentRecord, Vec<RunRow>) {
    let text = format!("{TEXT}[size.cpu]\ndata.fraction = 0.1\nobjective.z_batches = 2\n");
    let (mut record, mut runs) =
        lab(&text, &[60.0, 62.0, 64.0, 70.0, 70.0, 70.3, 71.0, 73.0, 75.0]);
    let full = record.members.clone();
    for (member, mut run) in full.into_iter().zip(runs.clone()) {
        run.id = format!("{}-small", run.id);
        run.spec.set("data.fraction", json!(0.1));
        // Means nothing under the softmax, and tells it not apart from the rest of its size.
        if run.spec["objective"]["kind"] == "nce" {
            run.spec.set("objective.z_batches", json!(2));
        }
        record.members.push(Member { run: run.id.clone(), ..member });
        runs.push(run);
    }
    record.members.sort_by_key(|member| member.ordinal);
    (record, runs)
}

#[test]
fn a_published_value_beside_another_size_is_marked_and_sizes_stand_apart() {
    let (record, runs) = two_sizes();
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    insta::assert_snapshot!(table.render(Format::Table), @r#"
       M  KIND           FRACTION  Z_BATCHES  KNN_TOP1 (%)  N            Δ             PAPER
     512  nce                   1          1    62.0 ± 2.0  3     baseline
    4096  nce                   1          1    70.1 ± 0.2  3   +8.1 ± 1.9              80.4
       –  nonparametric         1          –    73.0 ± 2.0  3  +11.0 ± 0.0   80.8 (recalled)
     512  nce                 0.1          2    62.0 ± 2.0  3     baseline
    4096  nce                 0.1          2    70.1 ± 0.2  3   +8.1 ± 1.9             80.4†
       –  nonparametric       0.1          –    73.0 ± 2.0  3  +11.0 ± 0.0  80.8† (recalled)
    † published at another setting; here: data.fraction = 0.1, objective.z_batches = 2
    paper: Wu et al. 2018, Table 1 (verified)
    paper: memory (recalled)
    "#);
    let tex = table.render(Format::Tex);
    assert!(tex.contains("& 80.4$\\dagger$ \\\\\n"), "{tex}");
    assert!(
        tex.contains("\\par{\\footnotesize $\\dagger$ published at another setting; here: data.fraction = 0.1"),
        "{tex}"
    );
    assert!(table.render(Format::Md).contains("\n\n† published at another setting; here: "));
    let csv = table.render(Format::Csv);
    let last: Vec<&str> = csv.lines().map(|line| line.rsplit(',').nth(2).unwrap()).collect();
    assert_eq!(last[..2], ["differs", ""]);
    assert_eq!(last[4], "data.fraction=0.1 objective.z_batches=2");
    let json = table.json();
    let differs = json!({"data.fraction": 0.1, "objective.z_batches": 2});
    assert_eq!((&json["rows"][0]["differs"], &json["rows"][3]["differs"]), (&json!({}), &differs));
    let cols = Options { cols: Some("m".into()), ..Options::default() };
    let across = ablation(&record, &runs, "knn_top1", &cols).unwrap().render(Format::Table);
    assert!(across.contains("[paper 80.4]") && across.contains("[paper 80.4†]"), "{across}");
}

#[test]
fn a_reference_that_names_its_setting_is_held_against_it() {
    let (mut record, runs) = two_sizes();
    record.references[0].where_.insert("data.fraction".into(), json!(0.1));
    record.references[0].where_.insert("objective.z_batches".into(), json!(2));
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let marks: Vec<Option<String>> = table.rows.iter().map(|row| table.notes().mark(row)).collect();
    assert_eq!(marks, [None, None, None, None, None, Some("†".into())]);
}

#[test]
fn a_size_that_nothing_is_held_against_is_named_all_the_same() {
    let (mut record, mut runs) = two_sizes();
    record.references.clear();
    let notes = |runs: &[RunRow]| {
        let table = ablation(&record, runs, "knn_top1", &Options::default()).unwrap();
        table.notes().lines()
    };
    assert!(notes(&runs).is_empty(), "columns tell the sizes apart");
    runs.drain(..9);
    let said = "not at the file's own setting: data.fraction = 0.1, objective.z_batches = 2";
    assert_eq!(notes(&runs), [said]);
}

#[test]
fn a_value_of_other_data_says_so() {
    let (mut record, runs) = two_sizes();
    record.references[0].on = Some("ImageNet".into());
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let marks: Vec<Option<String>> = table.rows.iter().map(|row| table.notes().mark(row)).collect();
    let marks: Vec<&str> = marks.iter().map(|mark| mark.as_deref().unwrap_or("")).collect();
    assert_eq!(marks, ["", "†", "", "", "§", "‡"]);
    let caveats = table.notes().caveats();
    assert_eq!(caveats[0], "† published on ImageNet");
    assert!(caveats[1].starts_with("‡ published at another setting; here: data.fraction = 0.1"));
    assert!(caveats[2].starts_with("§ published on ImageNet and at another setting; here: data"));
    assert_eq!(table.json()["rows"][1]["reference"]["on"], "ImageNet");
}

#[test]
fn large_images_in_files_may_be_the_published_ones_and_small_ones_are_not() {
    let on = |published: &str, side: u64| {
        let (mut record, mut runs) = negatives();
        record.references[0].on = Some(published.into());
        for run in &mut runs {
            run.spec.set("data.dataset", json!("folder"));
            run.spec.set("data.side", json!(side));
        }
        let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
        table.rows.iter().find_map(|row| row.reference.clone()).unwrap().on
    };
    assert_eq!(on("ImageNet", 224), None);
    assert_eq!(on("ImageNet", 32).as_deref(), Some("ImageNet"));
    assert_eq!(on("Places", 224).as_deref(), Some("Places"));
    assert_eq!(
        on("a pre-trained Inception-V1", 224).as_deref(),
        Some("a pre-trained Inception-V1")
    );
}

/// `objective.transforms` means something under `exemplar` alone.
#[test]
fn a_key_that_means_nothing_elsewhere_makes_no_second_baseline() {
    let text = "name = 'x'\n[grid]\nobjective.kind = ['nce', 'exemplar', 'infonce']\nseed = [0]";
    let (record, mut runs) = lab(text, &[60.0, 62.0, 64.0]);
    runs[1].spec.set("objective.transforms", json!(4));
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let rows = table.rows.iter().map(|row| (row.setting, row.is_baseline, row.delta));
    let expected = [(None, true, Some(0.0)), (None, false, Some(4.0)), (Some(0), false, Some(2.0))];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    // Two that do differ are two settings all the same.
    runs.iter_mut().for_each(|run| run.spec.set("objective.tau", json!(0.5)));
    runs[0].spec.set("objective.tau", json!(0.07));
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    assert_eq!(table.rows.iter().filter(|row| row.is_baseline).count(), 2);
}

#[test]
fn how_often_runs_were_evaluated_counts_where_it_shows() {
    let (record, mut runs) = negatives();
    runs.iter_mut().for_each(|run| run.spec.set("eval.every", json!(7)));
    let differs = |runs: &[RunRow], metric: &str, paced: bool| {
        let options = Options { paced, ..Options::default() };
        let differs = ablation(&record, runs, metric, &options).unwrap().rows[0].differs.clone();
        differs.keys().cloned().collect::<Vec<_>>()
    };
    assert!(differs(&runs, "knn_top1", false).is_empty());
    for (metric, paced) in
        [("knn_top1.best", false), ("knn_top1.reach=60", false), ("knn_top1", true)]
    {
        assert_eq!(differs(&runs, metric, paced), ["eval.every"], "{metric}");
    }
    // A crop is of the whole file on disk, and of a small square in memory.
    for run in &mut runs {
        run.spec.set("data.dataset", json!("folder"));
        run.spec.set("data.resident", json!("disk"));
    }
    let found = differs(&runs, "knn_top1", false);
    assert!(found.contains(&"data.resident".to_owned()), "{found:?}");
}

/// Of one source, one cell was read and the other recalled.
#[test]
fn a_source_is_worth_what_each_of_its_cells_is() {
    let (mut record, runs) = negatives();
    record.references[1].source = record.references[0].source.clone();
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let source = "paper: Wu et al. 2018, Table 1";
    assert_eq!(
        table.notes().lines(),
        [format!("{source} (recalled)"), format!("{source} (verified)")]
    );
}

#[test]
fn another_setting_gets_another_mark() {
    let (record, mut runs) = two_sizes();
    for run in &mut runs[..6] {
        run.spec.set("objective.tau", json!(0.5));
    }
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let caveats = table.notes().caveats();
    assert_eq!(caveats.len(), 2, "{caveats:?}");
    assert!(caveats[0].starts_with('†') && caveats[0].ends_with("objective.tau = 0.5"));
    assert!(caveats[1].starts_with('‡') && caveats[1].contains("data.fraction = 0.1"));
    // Read again from a file that cannot be read any more, nothing is claimed.
    let lost = ExperimentRecord { text: "?".into(), ..record };
    assert!(
        ablation(&lost, &runs, "knn_top1", &Options::default())
            .unwrap()
            .notes()
            .caveats()
            .is_empty()
    );
}

#[test]
fn the_command_that_makes_them_again_has_their_size_and_their_values() {
    let (record, mut runs) = two_sizes();
    let again = |runs: &[RunRow]| commands("negatives", &record.text, &[runs.iter().collect()]);
    let file = "instdisc-lab run negatives.toml";
    assert_eq!(again(&runs[..9]), [file]);
    assert_eq!(again(&runs[9..]), [format!("{file} --size cpu")]);
    for run in &mut runs[9..] {
        run.spec.set("objective.tau", json!(0.2));
    }
    runs.retain(|run| run.seed < 2);
    let small = format!("{file} --size cpu --set objective.tau=0.2 --grid seed=0,1");
    assert_eq!(again(&runs[6..]), [small]);
    assert_eq!(again(&runs[6..8]).len(), 1);
    assert!(again(&runs[6..8])[0].ends_with("--grid objective.m=512 --grid seed=0,1"));
    for run in &mut runs[..2] {
        run.seed += 7;
        run.spec.set("eval.finally", json!(["svm"]));
    }
    let seedless = record.text.replace("seed = [0, 1, 2]\n", "");
    let other = commands("negatives", &seedless, &[runs[..2].iter().collect()]);
    assert!(
        other[0].contains("--set 'eval.finally=") || other[0].contains("--set eval.finally="),
        "{other:?}"
    );
    assert!(other[0].ends_with("--grid objective.m=512 --grid seed=7,8"), "{other:?}");
    runs[0].spec.set("data.dataset", json!("folder"));
    runs[0].spec.set("data.root", json!("my images"));
    let folder = &again(&runs[..1])[0];
    for part in ["--set data.dataset=folder", "--set data.root='my images'"] {
        assert!(folder.contains(part), "{folder}");
    }
}
