//! Charts: crosshair, zoom, axes, levels.

use super::*;
use crate::store::model::Resume;

/// Two marked runs with curves, on the chart screen.
fn charted(width: u16, height: u16) -> Lab {
    let mut rows = sweep();
    rows[1].varied = rows[0].varied.clone();
    rows[1].seed = 1;
    rows[0].spec = json!({"data": {"dataset": "shapes"}, "seed": 0}).into();
    rows[1].spec = json!({"data": {"dataset": "shapes"}, "seed": 1}).into();
    let mut lab = Lab::with(rows, width, height);
    lab.keys("space space 2");
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0, f64::NAN, 6.0, 9.0, 5.0]);
    lab.points("demo-bbbbbbbb", "loss", &[8.0, 7.5, 7.25, 7.0, 6.5, 6.0]);
    lab.points("demo-aaaaaaaa", "knn_top1", &[20.0, 30.0, 41.25]);
    lab
}

#[test]
fn the_crosshair_shows_every_curve_in_every_chart() {
    let mut lab = charted(120, 40);
    assert!(lab.screen().contains("12 of 12 points, 1 not finite"), "{}", lab.screen());
    lab.keys("h");
    let screen = lab.screen();
    assert!(screen.contains("● 5.00") && screen.contains("▲ 6.00"), "{screen}");
    assert!(screen.contains("● 41.25"), "the chart beside it too\n{screen}");
    lab.keys("g M");
    assert!(lab.screen().contains("● 9.00"), "{}", lab.screen());
    lab.keys("g b");
    assert!(lab.screen().contains("● 5.00"));
    lab.keys("g n");
    assert!(lab.screen().contains("● NaN") && lab.screen().contains(" 30 "), "{}", lab.screen());
    lab.keys("j g n");
    assert!(lab.screen().contains("no curve of knn_top1 has such a point"));
    lab.keys("esc");
    assert_eq!(lab.app.charts.cursor, None);
}

#[test]
fn a_chart_is_saved_as_a_figure_of_what_is_seen() {
    let mut lab = charted(120, 40);
    let saved = |lab: &mut Lab| {
        lab.asked.clear();
        lab.keys("w s");
        let drawn = lab.asked.iter().find_map(|effect| match effect {
            Effect::Ask(Ask::Draw { file, svg, kind: Kind::Svg }) => {
                Some((file.clone(), svg.clone()))
            }
            _ => None,
        });
        drawn.unwrap()
    };
    let (file, whole) = saved(&mut lab);
    assert_eq!(file, "curve-loss.svg");
    for text in ["demo-aaaaaaaa", "demo-bbbbbbbb", "loss (nats)", "\nstep\n"] {
        assert!(whole.contains(text), "{text} in {whole}");
    }
    // NaN parts the first of the two.
    assert_eq!(whole.matches("stroke-width=\"2\"").count(), 3 + 2, "and the key: {whole}");
    lab.keys("+");
    let (_, part) = saved(&mut lab);
    let n_places = |svg: &str| {
        let lines = svg.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
        lines.map(|line| line.split_whitespace().count()).sum::<usize>()
    };
    assert!(n_places(&part) + 3 < n_places(&whole), "{part}");
    lab.keys("e");
    assert!(saved(&mut lab).1.contains("\nepoch\n"));
    assert!(Lab::with(sweep(), 120, 40).keys("2 w s").screen().contains("not there yet"));
}

#[test]
fn zoom_and_pan_keep_inside_the_curve() {
    let mut lab = charted(120, 40);
    lab.keys("+");
    assert_eq!(lab.app.charts.window, Some((30.0, 60.0)));
    assert!(lab.screen().contains("8 of 12 points"), "{}", lab.screen());
    lab.keys("> > >");
    assert_eq!(lab.app.charts.window, Some((30.0, 60.0)));
    lab.keys("< < < < < < < <");
    assert_eq!(lab.app.charts.window, Some((0.0, 30.0)));
    lab.keys("- -");
    assert_eq!(lab.app.charts.window, None);
    for _ in 0..60 {
        lab.keys("+");
        lab.screen();
    }
    lab.keys("0");
    assert_eq!(lab.app.charts.window, None);
}

#[test]
fn axes_smoothing_and_seeds_are_switched() {
    let mut lab = charted(120, 40);
    lab.keys("e");
    assert!(lab.screen().contains("epoch"));
    lab.keys("e");
    assert!(
        lab.screen().contains("active time") && lab.screen().contains("1m"),
        "{}",
        lab.screen()
    );
    lab.keys("e");
    assert!(lab.screen().contains("wall time"));
    lab.keys("e y ] ]");
    assert!(lab.screen().contains("loss nats log ~0.8"), "{}", lab.screen());
    lab.keys("x");
    assert!(lab.screen().contains("step"));
    lab.keys("x y [ [ b");
    let banded = lab.screen();
    lab.keys("b");
    assert_ne!(banded, lab.screen());
    // A pair of seeds is one line with its mean.
    assert_eq!(groups(&lab.app.rows.iter().take(2).collect::<Vec<_>>()), [[0, 1]]);
}

#[test]
fn one_chart_fills_the_screen_and_names_filter_the_others() {
    let mut lab = charted(120, 40);
    lab.keys("j z");
    let screen = lab.screen();
    assert!(screen.contains("knn_top1 %") && !screen.contains("loss nats"), "{screen}");
    lab.keys("esc / l o s s");
    assert!(!lab.screen().contains("knn_top1 %"));
    lab.keys("esc");
    assert!(lab.screen().contains("knn_top1 %"));
    lab.keys("/ z z enter");
    assert!(lab.screen().contains("no metric contains \"zz\""));
    lab.keys("esc esc");
    assert_eq!(lab.app.tab, Tab::Runs);
}

#[test]
fn chance_and_the_paper_stand_in_the_chart() {
    let mut lab = charted(120, 40);
    lab.points("demo-bbbbbbbb", "knn_top1", &[5.0, 30.0, 41.25]);
    assert!(lab.screen().contains("╌chance"), "{}", lab.screen());
    let reference = json!({
        "where": {}, "metric": "knn_top1", "value": 80.4, "source": "Wu et al.", "status": "verified",
        "curve": [[0, 10], [200, 80.4]],
    });
    let record = json!({
        "name": "demo", "question": "", "text": "", "factors": [], "references": [reference], "members": [],
    });
    lab.event(Event::Data(Data::Records(vec![serde_json::from_value(record).unwrap()])));
    assert!(lab.screen().contains("paper 80.40 ↑"), "{}", lab.screen());
    // Along epochs it has a way there, which these few stay below.
    let screen = lab.keys("e").screen();
    assert!(screen.contains("epoch") && !screen.contains("80.40"), "{screen}");
    assert!(screen.contains("paper"), "{screen}");
    assert!(!lab.keys("r").screen().contains("paper"));
}

#[test]
fn where_a_run_was_resumed_is_marked_and_the_clock_counts_its_pause() {
    let mut lab = charted(120, 40);
    assert!(!lab.screen().contains('↻'));
    lab.keys("g r");
    assert!(lab.screen().contains("no curve of loss has such a point"));
    let mut rows = lab.app.rows.clone();
    // Three seconds a step, and after the thirtieth an hour of nothing.
    rows[0].started_at = Some(1_000);
    rows[0].resumes = vec![Resume { step: 30, sec: 90.0, at: 3_691_000 }];
    lab.event(Event::Data(Data::Runs(rows)));
    let screen = lab.keys("g r").screen();
    assert!(screen.contains('↻') && screen.contains(" 40 "), "{screen}");
    let screen = lab.keys("e e e").screen();
    assert!(screen.contains("wall time"), "{screen}");
    let screen = lab.keys("g r").screen();
    assert!(screen.contains("1h02m"), "{screen}");
    assert!(lab.keys("e").screen().contains("step"));
}
