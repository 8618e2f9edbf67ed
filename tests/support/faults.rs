//! What fault tests draw from, and how hostile input is made and read.

use std::process::{Command, Stdio};

/// How much of a test is done.
fn is_long() -> bool {
    std::env::var("INSTDISC_FAULTS").is_ok_and(|form| form == "long")
}

/// `quick` in `make test`, `long` in `make test-faults`.
pub fn either<T>(quick: T, long: T) -> T {
    if is_long() { long } else { quick }
}

/// What `make test` draws from, so that it says the same about the same commit. With this one a run's experiment lost
/// its name, and the repair its way.
const QUICK_SEED: u64 = 4_292_177_490;

/// Numbers that look random and can be had again (SplitMix64, Steele, Lea and Flood 2014).
pub struct Chance {
    pub seed: u64,
    state: u64,
}

impl Chance {
    /// From `INSTDISC_FAULT_SEED`, else in the quick form the same each time and in the long one another; printed, which
    /// a passing test keeps to itself.
    pub fn new(test: &str) -> Self {
        let given = std::env::var("INSTDISC_FAULT_SEED").ok().and_then(|text| text.parse().ok());
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let drawn = || if is_long() { now().as_nanos() as u64 & 0xffff_ffff } else { QUICK_SEED };
        let seed = given.unwrap_or_else(drawn);
        println!("{test}: INSTDISC_FAULT_SEED={seed}");
        Self { seed, state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Flips, removes, repeats and inserts; what is inserted is what parsers trip over.
pub fn mutate(chance: &mut Chance, bytes: &[u8]) -> Vec<u8> {
    const NASTY: [&[u8]; 14] = [
        b"\"",
        b"[[",
        b"{",
        b"}",
        b"\0",
        b"\xff\xfe",
        b"99999999999999999999",
        b"-1e309",
        b"\\ud800",
        b"\n",
        b"((((((((((((((((",
        b"\"NaN\"",
        b"= {",
        b"..",
    ];
    let mut out = bytes.to_vec();
    for _ in 0..=chance.below(6) {
        let at = if out.is_empty() { 0 } else { chance.below(out.len()) };
        let to = (at + chance.below(40)).min(out.len());
        match chance.below(6) {
            0 if !out.is_empty() => out[at] ^= 1 << chance.below(8),
            1 => drop(out.drain(at..to)),
            2 => {
                let piece = out[at..to].to_vec();
                let times = 1 + chance.below(50);
                out.splice(at..at, piece.repeat(times));
            }
            3 => out.truncate(at),
            4 => {
                let nasty = NASTY[chance.below(NASTY.len())];
                let times = 1 + chance.below(200);
                out.splice(at..at, nasty.repeat(times));
            }
            _ => {
                let random = chance.next().to_le_bytes();
                out.splice(at..at, random);
            }
        }
    }
    out
}

/// Runs `test` of this binary again with 4 GB of addresses.
pub fn confined(test: &str) {
    let me = std::env::current_exe().unwrap();
    let script = "ulimit -v 4000000; exec \"$0\" --exact \"$1\" --nocapture";
    let mut child = Command::new("sh");
    child.args(["-c", script]).arg(me).arg(test).env(CONFINED, "1");
    let output = child.stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    // A name that fits no test is no failure to libtest.
    assert!(output.status.success() && said.contains("1 passed"), "{words}\n{said}");
}

/// Whether this is the inside of [`confined`].
pub fn is_confined() -> bool {
    std::env::var_os(CONFINED).is_some()
}

const CONFINED: &str = "INSTDISC_TEST_CONFINED";
