//! Geometry: crop and flip as two small matrix products, rotation as a sampled grid. Knows no colours.

use tch::{Device, Kind, Tensor};

use super::draw::Draw;
use crate::engine::device::upload;

/// Where each of the `side` output pixels of an axis lies in the input, when the `length` pixels from `start` are
/// stretched over it. Pixel centres are at halves; beyond the centres of the box's first and last pixel the edge is
/// continued, as PIL and torchvision have it when they resize an image that was cut out first.
fn positions(start: u32, length: u32, side: usize, mirrored: bool) -> impl Iterator<Item = f32> {
    let step = length as f32 / side as f32;
    (0..side).map(move |i| {
        let i = if mirrored { side - 1 - i } else { i };
        let inside = (i as f32 + 0.5) * step - 0.5;
        start as f32 + inside.clamp(0.0, (length - 1) as f32)
    })
}

/// Linear interpolation at `at` (B, S) as matrices that act on the input axis. // (B, S out, S in)
fn interpolation(at: &Tensor, side: i64) -> Tensor {
    let pixels = Tensor::arange(side, (Kind::Float, at.device())).view([1, 1, side]);
    let mut distance = at.unsqueeze(2) - pixels; // (B, S out, S in)
    distance.abs_().neg_().g_add_scalar_(1.0).clamp_min_(0.0)
}

/// Cuts out each sample's box, stretches it over the whole side by bilinear interpolation, mirrors it where drawn, and
/// takes bytes to [0, 1]. A box is never larger than the image, so nothing is ever reduced and no antialiasing arises.
///
/// Separable, so it is rows · image · columnsᵀ: two batched products of S×S matrices with two entries a row, which is
/// less work than gathering four neighbours a pixel, and has no index arithmetic on the device.
///
/// `images`: (B, S, S, 3) u8. Returns (B, 3, S, S) f32.
pub(super) fn crop(images: &Tensor, draws: &[&Draw], device: Device) -> Tensor {
    let (n, side) = (draws.len() as i64, images.size()[1]);
    let mut planes = Tensor::empty([n, 3, side, side], (Kind::Float, device));
    planes.copy_(&images.permute([0, 3, 1, 2])); // (B, 3, S, S)

    let mut at = Vec::with_capacity(2 * draws.len() * side as usize);
    for draw in draws {
        at.extend(positions(draw.crop.top, draw.crop.height, side as usize, false));
    }
    for draw in draws {
        at.extend(positions(draw.crop.left, draw.crop.width, side as usize, draw.flip));
    }
    let at = upload(&at, device).view([2 * n, side]);
    let matrices = interpolation(&at, side); // (2B, S, S)
    let rows = matrices.narrow(0, 0, n) * (1.0 / 255.0);
    let columns = matrices.narrow(0, n, n);

    let xs = planes.view([n, 3 * side, side]).bmm(&columns.transpose(1, 2)); // (B, 3·S, S)
    rows.unsqueeze(1).matmul(&xs.view([n, 3, side, side])) // (B, 3, S, S)
}

/// Turns each sample about its centre, bilinearly, black outside: torchvision's `rotate` on tensors with
/// `InterpolationMode.BILINEAR` and no fill. (Its default, nearest, would make 32-pixel images ragged.)
///
/// `planes`: (B, 3, S, S) in [0, 1], already mirrored where drawn.
pub(super) fn rotate(planes: &Tensor, draws: &[&Draw], device: Device) -> Tensor {
    let mut inverse = Vec::with_capacity(6 * draws.len());
    for draw in draws {
        // The flip comes after the rotation but is done by now: mirror, then turn the other way round, is the same.
        let angle = if draw.flip { -draw.angle } else { draw.angle };
        let (sin, cos) = angle.to_radians().sin_cos();
        inverse.extend([cos, -sin, 0.0, sin, cos, 0.0]);
    }
    let inverse = upload(&inverse, device).view([-1, 2, 3]); // (B, 2, 3)
    let grid = Tensor::affine_grid_generator(&inverse, planes.size(), false); // (B, S, S, 2)
    const BILINEAR: i64 = 0;
    const ZEROS: i64 = 0;
    planes.grid_sampler(&grid, BILINEAR, ZEROS, false) // (B, 3, S, S)
}
