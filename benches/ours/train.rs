//! Images a second of the real trainer: ResNet-18 on 50,000 images of 32×32, batch 128, m = 4096, whole steps with data,
//! augmentation, memory bank, proximal term and journal.

use std::cell::RefCell;
use std::time::Instant;

use instdisc_lab::config::RunSpec;
use instdisc_lab::config::spec::Precision;
use instdisc_lab::data::{Dataset, Split};
use instdisc_lab::engine::device;
use instdisc_lab::engine::train::{Job, Trainer};
use instdisc_lab::journal::writer::{Writer, system_clock};
use instdisc_lab::lab::Home;
use tch::Device;

use crate::{Measured, given};

const IMAGES: usize = 50_000;
const SIDE: usize = 32;
/// Steps until the caches are warm and Z is known.
const WARM: usize = 3;
/// The same on CUDA, until kernels are chosen and steps recorded.
const WARM_CUDA: usize = 40;

/// The arithmetic that the trainer chooses on this machine.
pub fn best() -> Measured {
    measured(Precision::Auto, 16, Device::Cpu, true)
}

/// fp32 on both sides.
pub fn fp32() -> Measured {
    measured(Precision::Fp32, 8, Device::Cpu, true)
}

/// On the first CUDA device, steps recorded and launched whole.
pub fn cuda() -> Measured {
    measured(Precision::Auto, 800, device::parse("cuda").unwrap(), true)
}

/// On the first CUDA device, one operation at a time.
pub fn cuda_plain() -> Measured {
    measured(Precision::Auto, 400, device::parse("cuda").unwrap(), false)
}

/// How much faster one trainer with all cores goes through a queue than one trainer a core: above 1, one is better.
pub fn grid() -> Measured {
    let cores = instdisc_lab::machine::cores();
    let alone = rate_of_children(1, cores);
    let beside = rate_of_children(cores, 1);
    eprintln!("1 trainer of {cores} threads: {alone:.1} images/s");
    eprintln!("{cores} trainers of 1 thread: {beside:.1} images/s together");
    Measured { value: alone / beside, unit: "times" }
}

/// Images a second of `n` trainers at once with `threads` threads each.
fn rate_of_children(n: u32, threads: u32) -> f64 {
    let child = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.arg("train_step_best").env("BENCH_THREADS", threads.to_string());
        command.stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..n).map(|_| child()).collect();
    let outputs = children.into_iter().map(|child| child.wait_with_output().unwrap());
    outputs
        .map(|out| {
            let line: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
            line["value"].as_f64().unwrap()
        })
        .sum()
}

fn measured(precision: Precision, steps: usize, device: Device, graphs: bool) -> Measured {
    let warm = if device.is_cuda() { WARM_CUDA } else { WARM };
    let steps = given("BENCH_STEPS", steps);
    let threads = device::threads(given("BENCH_THREADS", 0) as u32, device::Share::ALL);
    tch::set_num_threads(threads as i32);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize);
    pool.build_global().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run = Home::new(dir.path()).run("bench-00000000");
    std::fs::create_dir_all(run.path()).unwrap();
    let spec = spec();
    let data = images();
    let ends: RefCell<Vec<Instant>> = RefCell::default();
    let stop = || {
        let mut ends = ends.borrow_mut();
        // The host runs ahead of a CUDA device: the first and the last step are waited for.
        if let Device::Cuda(index) = device
            && [warm, warm + steps].contains(&ends.len())
        {
            tch::Cuda::synchronize(index as i64);
        }
        ends.push(Instant::now());
        warm + steps < ends.len()
    };
    let origin = Instant::now();
    let job = Job {
        spec: &spec,
        spec_fingerprint: String::new(),
        data: &data,
        device,
        arithmetic: device::arithmetic(precision, device),
        checkpoints: &run.checkpoints(),
        clock: &|| origin.elapsed().as_secs_f64(),
        stop: &stop,
        graphs,
    };
    let writer = Writer::open(&run, 1, system_clock()).unwrap();
    Trainer::new(job, None).unwrap().run(&mut &writer).unwrap();
    let ends = ends.into_inner();
    let times: Vec<f64> =
        ends[warm..].windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let batch = f64::from(spec.train.batch_size);
    let quickest = times.iter().copied().fold(f64::INFINITY, f64::min);
    eprintln!("{} threads, quickest step {:.1} ms", threads, quickest * 1e3);
    Measured { value: batch * times.len() as f64 / times.iter().sum::<f64>(), unit: "images/s" }
}

fn spec() -> RunSpec {
    serde_json::from_value(serde_json::json!({
        "data": {"dataset": "cifar10", "fraction": 1.0, "subset_seed": 0},
        "model": {"backbone": "resnet18", "dim": 128, "width": 1.0, "head_init": "default", "head_norm": "none"},
        "objective": {"kind": "nce", "m": 4096, "tau": 0.07, "z": "frozen", "z_batches": 1, "own_slot": "keep",
                      "lambda": 10.0, "lambda_from": 0, "bank_momentum": 0.5, "bank_init": "random"},
        "augment": {"crop_min": 0.2, "jitter": 0.4, "grayscale": 0.2, "flip": true, "rotation": 0.0},
        "train": {"epochs": 200, "batch_size": 128, "lr": 0.03, "lr_drops": [], "momentum": 0.9,
                  "weight_decay": 5e-4, "precision": "auto", "threads": 0, "checkpoint_every": 200},
        "eval": {"knn_k": 200, "knn_tau": 0.07, "every": 200},
        "seed": 1
    }))
    .unwrap()
}

/// Noise in the shape of CIFAR-10: what a step costs does not depend on what is on the images.
fn images() -> Dataset {
    let split = |n: usize| {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut images = vec![0u8; n * SIDE * SIDE * 3];
        for eight in images.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            eight.copy_from_slice(&state.to_le_bytes());
        }
        Split { images, labels: (0..n).map(|i| (i % 10) as u16).collect(), disk: None }
    };
    Dataset {
        name: "noise".to_owned(),
        side: SIDE,
        classes: (0..10).map(|class| class.to_string()).collect(),
        train: split(IMAGES),
        held_out: Split::default(),
        test: split(10),
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2023, 0.1994, 0.2010],
        fingerprint: String::new(),
        skipped: Vec::new(),
    }
}
