//! A loss that brings its own gradient.
//!
//! Against a bank of n constants autograd would keep (B, n) logits, and scatter through a second matrix of that size
//! on the way back. The gradients here are known in closed form, so they are computed chunk by chunk beside the loss,
//! and only their product with the features enters the graph.

use tch::Tensor;

/// A loss and its gradient with respect to the features, both constants.
pub struct Graded {
    /// Scalar.
    pub loss: Tensor,
    /// ∂loss/∂feats, (B, D).
    pub grad: Tensor,
}

impl Graded {
    /// `loss` as a node of the graph: the same value, and `grad` is what flows back into `feats`.
    pub fn attach(self, feats: &Tensor) -> Tensor {
        let linear = (feats * &self.grad).sum(None::<tch::Kind>);
        // x − x is 0 in value and not in gradient.
        &linear - linear.detach() + self.loss
    }
}

/// Bytes of scratch that one chunk of rows may take.
const SCRATCH: i64 = 64 << 20;

/// Splits 0..rows into (start, length) such that a chunk, at `row_bytes` a row, stays within the scratch.
pub fn chunks(rows: i64, row_bytes: i64) -> impl Iterator<Item = (i64, i64)> {
    let size = (SCRATCH / row_bytes.max(1)).clamp(1, rows.max(1));
    (0..rows).step_by(size as usize).map(move |start| (start, size.min(rows - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_row_once() {
        let all = |rows, bytes| chunks(rows, bytes).collect::<Vec<_>>();
        assert_eq!(all(10, 1), [(0, 10)]);
        assert_eq!(all(5, SCRATCH / 2), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(all(2, 2 * SCRATCH), [(0, 1), (1, 1)]);
        assert_eq!(all(0, 1), []);
    }
}
