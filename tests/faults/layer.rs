//! The k-th file operation of a process fails: [`layer.c`](../layer.c), built by the tests with the machine's C compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::{Chance, either};

/// What happens at one operation, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `enospc`, `eio`, `eacces`, `short`, `kill`.
    pub kind: &'static str,
    /// Counts from 1.
    pub at: u64,
    /// Not only this operation, but every one after it.
    pub lasts: bool,
}

/// Everything that a disk, its owner or a power switch can do.
pub const KINDS: [(&str, bool); 6] = [
    ("kill", false),
    ("enospc", false),
    ("enospc", true),
    ("eio", false),
    ("eacces", false),
    ("short", false),
];

/// The library, built once a test process.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/layer.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mine = folder.join(format!("layer-{}.so", std::process::id()));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&mine)
            .args([source, "-ldl"])
            .status();
        assert!(built.expect("a C compiler").success());
        // Other test processes build it too; a library in use must not be written over.
        let shared = folder.join("layer.so");
        fs::rename(mine, &shared).unwrap();
        shared
    })
}

/// Has `command` meet `fault` below the folder `under`, in processes of the program `program`.
pub fn arm(command: &mut Command, under: &Path, program: &str, fault: Fault, told: &Path) {
    command.env("LD_PRELOAD", library());
    command.env("FAULT_UNDER", under).env("FAULT_PROGRAM", program);
    command.env("FAULT_KIND", fault.kind).env("FAULT_AT", fault.at.to_string());
    command.env("FAULT_TOLD", told);
    if fault.lasts {
        command.env("FAULT_LASTS", "1");
    }
}

/// What gives processes of `program` a disk that is full from operation `at` on, as long as there is a file `while_`.
pub fn full_disk(
    under: &str,
    program: &str,
    at: u64,
    while_: &Path,
) -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    vec![
        ("LD_PRELOAD", library().display().to_string()),
        ("FAULT_UNDER", text(under)),
        ("FAULT_PROGRAM", text(program)),
        ("FAULT_KIND", text("enospc")),
        ("FAULT_AT", at.to_string()),
        ("FAULT_LASTS", text("1")),
        ("FAULT_WHILE", while_.display().to_string()),
    ]
}

/// What gives a process a time of day that is so many seconds ahead as the file `jump` says.
pub fn clock(jump: &Path) -> [(&'static str, PathBuf); 2] {
    [("LD_PRELOAD", library().to_owned()), ("CLOCK_JUMP", jump.to_owned())]
}

/// Operations of `command` that can fail.
pub fn count(mut command: Command, under: &Path, program: &str) -> u64 {
    let told = under.with_extension("told");
    let _ = fs::remove_file(&told);
    arm(&mut command, under, program, Fault { kind: "count", at: 1, lasts: false }, &told);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&told).unwrap();
    let counts = text.lines().filter_map(|line| line.strip_prefix("count ")?.split(' ').next());
    counts.map(|count| count.parse::<u64>().unwrap()).max().unwrap()
}

/// Which operations to fail, of `n`: some in the quick form, in the long one every `stride`th, from a random first one.
/// The long form ends beyond the last, to see that nothing fires any more.
pub fn places(chance: &mut Chance, n: u64, quick: u64, stride: u64) -> Vec<u64> {
    let step = either((n / quick).max(1), stride);
    let first = 1 + chance.below(step as usize) as u64;
    let past_the_last = either(None, Some(n + 50));
    (first..=n).step_by(step as usize).chain(past_the_last).collect()
}

/// Kinds to try at one place: one in the quick form, drawn by chance, else all.
pub fn kinds(chance: &mut Chance) -> Vec<(&'static str, bool)> {
    either(vec![KINDS[chance.below(KINDS.len())]], KINDS.to_vec())
}

/// Runs `command` with the fault; whether it fired, and what came out. Nothing may panic over it.
pub fn meet(mut command: Command, under: &Path, program: &str, fault: Fault) -> (bool, Output) {
    let told = under.with_extension("told");
    let _ = fs::remove_file(&told);
    arm(&mut command, under, program, fault, &told);
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!words.contains("internal fault"), "{fault:?}: {words}");
    (told.exists(), output)
}
