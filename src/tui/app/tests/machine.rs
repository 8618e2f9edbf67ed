//! What the machine screen tells, and what it leaves open.

use super::ablations::tabled;
use super::*;
use crate::journal::event::{Figures, GpuFigures};
use crate::store::InHand;
use crate::tui::machine::{Disk, Gpu, Lag, Machine, Memory, Process, Role};

fn machine() -> Machine {
    Machine {
        processor: Some("Fast CPU 2.6 GHz".into()),
        cores: Some(vec![1.0, 0.5]),
        load: Some([1.5, 1.25, 0.5]),
        memory: Some(Memory { total: 8 << 30, available: 2 << 30, swap_total: 0, swap_free: 0 }),
        disk: Some(Disk { total: 100 << 30, free: 40 << 30 }),
        store: Some((3 << 20, 1 << 10)),
        gpus: Err("nvidia-smi is not installed".into()),
        processes: vec![
            Process {
                pid: 41,
                role: Role::Worker(Some("cpu-0".into())),
                processors: Some(0.01),
                memory: Some(20 << 20),
                threads: Some(3),
            },
            Process {
                pid: 42,
                role: Role::Trainer("demo-00000000".into()),
                processors: None,
                memory: Some(900 << 20),
                threads: Some(4),
            },
            Process {
                pid: 43,
                role: Role::Trainer("demo-00000001".into()),
                processors: Some(1.5),
                memory: None,
                threads: None,
            },
        ],
    }
}

/// A run on this machine.
pub fn in_hand(run: &str) -> InHand {
    let (id, state) = (run.to_owned(), State::Running);
    InHand { id, state, attempt: 1, host: None, figures: None }
}

/// Lets the lab know of a machine with a worker.
pub fn show(lab: &mut Lab) {
    let run = "demo-00000000".to_owned();
    let worker =
        Worker { slot: "cpu-0".into(), state: Working::Working, runs: vec![in_hand(&run)] };
    let none = Worker { slot: "cpu-1".into(), state: Working::None, runs: Vec::new() };
    lab.event(Event::Data(Data::Workers(vec![worker, none])));
    lab.event(Event::Data(Data::Machine(Box::new(machine()))));
    lab.event(Event::Data(Data::Lags(vec![Lag { run, bytes: 2048 }])));
}

#[test]
fn the_machine_is_shown_with_who_takes_what() {
    let mut lab = tabled(120, 40);
    lab.keys("7");
    assert!(lab.screen().contains("looking at the machine"));
    assert!(lab.asked.contains(&Effect::Ask(Ask::Machine(true))));
    show(&mut lab);
    let screen = lab.screen();
    for text in [
        "75%  load 1.50 1.25 0.50  Fast CPU 2.6 GHz",
        "6.0 GiB of 8.0 GiB used, no swap",
        "40.0 GiB free of 100 GiB where the lab lies",
        "3.0 MiB, write-ahead log 1.0 KiB, 2.0 KiB of 1 journal to ingest",
        "n/a: nvidia-smi is not installed",
        "cpu-0 works",
        "trains demo-00000000 ",
        "trains demo-00000001, without a worker",
        "cpu-1 no worker",
    ] {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    // What is not told is not made up.
    let trainer = screen.lines().find(|line| line.contains("trains demo-00000000 ")).unwrap();
    assert!(trainer.contains("n/a") && trainer.contains("900 MiB"), "{trainer}");
    lab.keys("esc");
    assert_eq!(lab.asked.last(), Some(&Effect::Ask(Ask::Machine(false))), "nobody looks any more");
}

#[test]
fn what_no_system_tells_is_open() {
    let mut lab = Lab::empty(80, 24);
    lab.keys("7");
    let gpu =
        |busy| Gpu { name: "H100".into(), busy, memory: None, temperature: None, watts: None };
    let nothing = Machine {
        processor: None,
        cores: None,
        load: None,
        memory: None,
        disk: None,
        store: None,
        gpus: Ok(vec![gpu(Some(0.5)), gpu(None)]),
        processes: Vec::new(),
    };
    lab.event(Event::Data(Data::Machine(Box::new(nothing))));
    let screen = lab.screen();
    assert!(screen.contains("50%  n/a  n/a  n/a  H100"), "{screen}");
    assert!(screen.matches("n/a").count() >= 12, "{screen}");
    assert!(screen.contains("no worker and no trainer of this lab runs here"));
}

#[test]
fn what_a_cluster_works_on_is_shown_with_its_nodes() {
    let mut lab = tabled(120, 40);
    lab.keys("7");
    let gpu = GpuFigures {
        name: "H100".into(),
        busy: Some(0.85),
        memory_total: 80 << 30,
        memory_used: 9 << 30,
    };
    let figures = Figures {
        cores: 64,
        busy: 3.25,
        memory_total: 256 << 30,
        memory_used: 12 << 30,
        gpu: Some(gpu),
    };
    let trains =
        InHand { host: Some("node17".into()), figures: Some(figures), ..in_hand("demo-00000000") };
    let runs = vec![trains, in_hand("demo-00000001")];
    let worker = Worker { slot: "slurm-0".into(), state: Working::Working, runs };
    lab.event(Event::Data(Data::Machine(Box::new(machine()))));
    lab.event(Event::Data(Data::Workers(vec![worker])));
    let screen = lab.screen();
    let line = |text: &str| {
        let line = screen.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text} in\n{screen}")).to_owned()
    };
    let first = line("trains demo-00000000, GPU 85%");
    assert!(["node17", "3.2/64", "12.0 GiB"].iter().all(|text| first.contains(text)), "{first}");
    line("demo-00000001 is with slurm");
}
