//! An ablation in every format, of one metric and of several.

use serde_json::{Value, json};

use super::super::ablation::{Ablation, Options, ablation};
use super::super::beside::{Beside, together};
use super::super::table::Format;
use super::{lab, negatives, table};
use crate::config::Reference;
use crate::journal::event::Number;
use crate::store::{RunRow, State, Summary};

#[test]
fn people_read_it_aligned_with_sources_below() {
    insta::assert_snapshot!(table(&Options::default()).render(Format::Table), @r#"
       M  KIND           KNN_TOP1 (%)    N                      Δ            PAPER
     512  nce              62.0 ± 2.0    3               baseline
    4096  nce              70.1 ± 0.2    3             +8.1 ± 1.9             80.4
       –  nonparametric    72.0 ± 1.4  2/3  +10.0 ± 0.0 (2 pairs)  80.8 (recalled)
    paper: Wu et al. 2018, Table 1 (verified)
    paper: memory (recalled)
    "#);
    insta::assert_snapshot!(table(&Options::default()).render(Format::Md), @r#"
    |    m | kind          |   knn_top1 (%) |   n |                     Δ |           paper |
    | ---: | ------------- | -------------: | --: | --------------------: | --------------: |
    |  512 | nce           |     62.0 ± 2.0 |   3 |              baseline |                 |
    | 4096 | nce           |     70.1 ± 0.2 |   3 |            +8.1 ± 1.9 |            80.4 |
    |    – | nonparametric | **72.0 ± 1.4** | 2/3 | +10.0 ± 0.0 (2 pairs) | 80.8 (recalled) |

    paper: Wu et al. 2018, Table 1 (verified)  
    paper: memory (recalled)
    "#);
    insta::assert_snapshot!(table(&Options::default()).render(Format::Tex), @r#"
    \begin{tabular}{rlrrrr}
    \toprule
    m & kind & knn\_top1 (\%) & n & $\Delta$ & paper \\
    \midrule
    512 & nce & 62.0 $\pm$ 2.0 & 3 & baseline &  \\
    4096 & nce & 70.1 $\pm$ 0.2 & 3 & +8.1 $\pm$ 1.9 & 80.4 \\
    -- & nonparametric & \textbf{72.0 $\pm$ 1.4} & 2/3 & +10.0 $\pm$ 0.0 (2 pairs) & 80.8 (recalled) \\
    \bottomrule
    \end{tabular}
    % paper: Wu et al. 2018, Table 1 (verified)
    % paper: memory (recalled)
    "#);
    insta::assert_snapshot!(table(&Options::default()).render(Format::Csv).replace("\r\n", "\n"), @r#"
    objective.m,objective.kind,n,n_planned,mean,std,delta,reference,status,source,differs,delta_std,delta_n
    512,nce,3,3,62,2,0,,,,,,
    4096,nce,3,3,70.10000000000001,0.1732050807568861,8.100000000000009,80.4,verified,"Wu et al. 2018, Table 1",,1.8520259177452147,3
    ,nonparametric,2,3,72,1.4142135623730951,10,80.8,recalled,memory,,0,2
    "#);
}

#[test]
fn a_second_factor_can_go_across() {
    let text =
        "name = 'x'\n[grid]\nobjective.m = [1, 10]\nobjective.tau = [0.07, 0.1]\nseed = [0, 1]";
    let (record, runs) = lab(text, &[1.0, 3.0, 2.0, 4.0, 3.0, 5.0, 4.0, 6.0]);
    let options = Options { cols: Some("tau".into()), ..Options::default() };
    let crossed = ablation(&record, &runs, "knn_top1", &options).unwrap();
    insta::assert_snapshot!(crossed.render(Format::Table), @r#"
     M     TAU = 0.07      TAU = 0.1
     1  2.0 ± 1.4 (2)  3.0 ± 1.4 (2)
    10  4.0 ± 1.4 (2)  5.0 ± 1.4 (2)
    "#);
    let cell = |row: usize| {
        let (y, x) = crossed.place(row).unwrap();
        crossed.table().rows()[y][x].clone()
    };
    assert_eq!([cell(1), cell(2)], ["3.0 ± 1.4 (2)", "4.0 ± 1.4 (2)"]);
    // Rows alone: what is not named is averaged over.
    let options = Options { rows: vec!["m".into()], ..Options::default() };
    let rows = ablation(&record, &runs, "knn_top1", &options).unwrap().rows;
    assert_eq!((rows.len(), rows[0].n, rows[0].mean), (2, 4, Some(2.5)));
}

/// Three runs a row; with a second metric that two of the first row and all of the last have.
fn several() -> [Ablation; 2] {
    let (mut record, mut runs) = negatives();
    for (i, run) in runs.iter_mut().enumerate() {
        let knn = run.metrics["knn_top1"].clone();
        let value = Number(knn.last.0 - 4.0 * (i / 3) as f64);
        if [0, 1, 6, 7, 8].contains(&i) {
            run.metrics.insert("svm_top1".to_owned(), Summary { last: value, ..knn });
        }
    }
    let linear =
        Reference { metric: "svm_top1".to_owned(), value: 77.0, ..record.references[1].clone() };
    record.references.push(linear);
    ["knn_top1", "svm_top1"]
        .map(|metric| ablation(&record, &runs, metric, &Options::default()).unwrap())
}

#[test]
fn several_metrics_stand_beside_each_other() {
    let tables = several();
    let written = |format| Beside::new(&tables).render(format);
    insta::assert_snapshot!(written(Format::Table), @r#"
       M  KIND           KNN_TOP1 (%)            PAPER      SVM_TOP1 (%)            PAPER  N
     512  nce              62.0 ± 2.0                   61.0 ± 1.4 (2/3)                   3
    4096  nce              70.1 ± 0.2             80.4                 –                   3
       –  nonparametric    73.0 ± 2.0  80.8 (recalled)        65.0 ± 2.0  77.0 (recalled)  3
    paper: Wu et al. 2018, Table 1 (verified)
    paper: memory (recalled)
    "#);
    let md = written(Format::Md);
    assert!(md.contains("| **73.0 ± 2.0** | 80.8 (recalled) |   **65.0 ± 2.0** |"), "{md}");
    let tex = written(Format::Tex);
    assert!(tex.starts_with("\\begin{tabular}{rlrrrrr}\n"), "{tex}");
    let csv = written(Format::Csv);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("metric,objective.m,objective.kind,n,n_planned,mean,"), "{csv}");
    assert_eq!((lines.len(), &lines[4][..27]), (7, "svm_top1.last,512,nce,2,3,6"));
    let json: Value = serde_json::from_str(&written(Format::Json)).unwrap();
    assert_eq!(json, json!(tables.each_ref().map(Ablation::json)));
}

#[test]
fn a_mark_means_one_setting_in_all_columns() {
    let (mut record, mut runs) = negatives();
    // Two other settings; the first has a published value for one metric, the second for the other.
    for (i, run) in runs.iter_mut().enumerate() {
        run.spec.set("train.epochs", json!(if i < 6 { 20 } else { 30 }));
        let knn = run.metrics["knn_top1"].clone();
        run.metrics.insert("svm_top1".to_owned(), knn);
    }
    record.references[1].metric = "svm_top1".to_owned();
    let tables = ["knn_top1", "svm_top1"]
        .map(|metric| ablation(&record, &runs, metric, &Options::default()).unwrap());
    let text = Beside::new(&tables).render(Format::Table);
    assert!(text.contains("80.4†\n") || text.contains("80.4† "), "{text}");
    assert!(text.contains("80.8‡ (recalled)"), "{text}");
    assert!(text.contains("† published at another setting; here: train.epochs = 20\n"), "{text}");
    assert!(text.contains("‡ published at another setting; here: train.epochs = 30\n"), "{text}");
}

/// A loss has no fixed number of decimals: its seeds say how many mean anything, the same for the whole column.
#[test]
fn numbers_are_written_as_far_as_seeds_agree() {
    let (record, mut runs) = negatives();
    let losses = [5.41, 5.90, 6.42, 10.8, 13.9, 17.0, 29.1, 29.94, 30.7];
    for (run, loss) in runs.iter_mut().zip(losses) {
        let summary = run.metrics.get_mut("knn_top1").unwrap();
        (summary.unit, summary.last) = ("nats".to_owned(), Number(loss));
    }
    let table = |runs: &[RunRow]| ablation(&record, runs, "knn_top1", &Options::default()).unwrap();
    let cells = |runs: &[RunRow]| {
        let table = table(runs).table();
        table.rows().iter().map(|row| row[2..5].join(" ")).collect::<Vec<_>>()
    };
    let written = cells(&runs);
    assert_eq!(
        written,
        ["5.91 ± 0.51 3 baseline", "13.90 ± 3.10 3 +7.99 ± 2.60", "29.91 ± 0.80 3 +24.00 ± 0.30"]
    );
    // A row that has finished without the metric lacks it for good, and is nothing to compare with.
    for run in &mut runs[..3] {
        run.metrics.clear();
    }
    assert_eq!(cells(&runs)[..2], ["– 0/3 ", "13.90 ± 3.10 3 baseline"]);
    runs[0].state = State::Queued;
    assert_eq!(cells(&runs)[0], " 0/3 ");
}

#[test]
fn several_experiments_are_one_csv_and_tables_with_their_names() {
    let text = "name = 'other'\n[grid]\nobjective.tau = [0.07, 0.1]\nseed = [0]";
    let (record, runs) = lab(text, &[50.0, 51.5]);
    let other = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let both = [vec![table(&Options::default())], vec![other]];
    insta::assert_snapshot!(together(&both, Format::Csv).replace("\r\n", "\n"), @r#"
    experiment,metric,objective.m,objective.kind,objective.tau,n,n_planned,mean,std,delta,reference,status,source,differs,delta_std,delta_n
    negatives,knn_top1.last,512,nce,,3,3,62,2,0,,,,,,
    negatives,knn_top1.last,4096,nce,,3,3,70.10000000000001,0.1732050807568861,8.100000000000009,80.4,verified,"Wu et al. 2018, Table 1",,1.8520259177452147,3
    negatives,knn_top1.last,,nonparametric,,2,3,72,1.4142135623730951,10,80.8,recalled,memory,,0,2
    other,knn_top1.last,,,0.07,1,1,50,,0,,,,,,
    other,knn_top1.last,,,0.1,1,1,51.5,,1.5,,,,,,1
    "#);
    let text = together(&both, Format::Table);
    assert!(text.starts_with("negatives\nHow many?\n   M  KIND"), "{text}");
    assert!(text.contains("\n\nother\n TAU  KNN_TOP1"), "{text}");
    let md = together(&both, Format::Md);
    assert!(md.starts_with("## negatives\n\nHow many?\n\n|    m | kind"), "{md}");
    assert!(md.contains("\n## other\n\n|  tau |"), "{md}");
    let tex = together(&both, Format::Tex);
    assert!(tex.starts_with("\\subsection*{negatives}\nHow many?\n\n\\begin{tabular}"), "{tex}");
    assert_eq!(together(&both[1..], Format::Csv), both[1][0].render(Format::Csv));
    let json: Value = serde_json::from_str(&together(&both, Format::Json)).unwrap();
    assert_eq!(json[1]["experiment"], "other");
}
