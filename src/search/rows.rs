//! Which rows can be compared at all, and how long they are.

/// Rows longer than this count as no numbers: their products could leave fp32.
const TOO_LONG: f64 = 1e15;

/// Euclidean length, in fp64.
pub fn length(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

/// Whether a row of this length can be compared: its numbers are finite and none is absurd.
pub fn comparable(length: f64) -> bool {
    length < TOO_LONG
}

/// The longest of some rows, and the most that rounding moved one of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lengths {
    pub longest: f64,
    pub off: f64,
}

impl Lengths {
    /// Counts a row of this length, moved by `off`. Rows that are no numbers do not count.
    pub fn take(&mut self, length: f64, off: f64) {
        if comparable(length) {
            *self = self.with(Lengths { longest: length, off });
        }
    }

    pub fn with(self, other: Lengths) -> Lengths {
        Lengths { longest: self.longest.max(other.longest), off: self.off.max(other.off) }
    }
}
