//! The proximal term (InstDisc Eq. 9–10): stay near where this instance was last time.

use tch::{Kind, Tensor};

/// Mean over B of ‖f − v‖², with `feats` (B, D) and the rows `previous` (B, D) that the bank held before this step.
/// Without λ, which the training loop applies; `previous` is a constant.
///
/// On the unit sphere ‖f − v‖² = 2 − 2 f·v, so the pull has constant size 2λ. Bank momentum, which the released code
/// has in its place, moves v and not the network.
pub fn proximal(feats: &Tensor, previous: &Tensor) -> Tensor {
    (feats - previous.detach())
        .square()
        .sum_dim_intlist([1i64].as_slice(), false, None::<Kind>)
        .mean(None)
}
