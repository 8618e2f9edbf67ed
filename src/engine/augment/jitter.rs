//! ColorJitter over a batch in which every sample has its own order of operations. Knows no geometry.
//!
//! Brightness, contrast and saturation are affine in a pixel's colour, hue is not. Each sample meets hue once, after
//! k = 0..3 affine operations, so a batch sorted by k needs six affine passes, three before hue and three after it, each
//! over a contiguous part of the batch, and one pass of hue over the whole. In sum that is every operation once
//! a sample, whatever the orders, with no gathering in between.

use tch::{Device, Kind, Tensor};

use super::LUMINANCE;
use super::draw::{Colour, Draw, Draws, Operation};
use crate::engine::device::upload;

/// Affine operations a sample has, wherever its hue lies.
const AFFINE: usize = 3;

/// A batch sorted by where hue comes in each sample's order.
pub(super) struct Plan<'a> {
    /// Places in the batch, in sorted order.
    permutation: Vec<usize>,
    /// Draws in sorted order.
    pub(super) draws: Vec<&'a Draw>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(draws: &'a Draws) -> Self {
        let mut permutation: Vec<usize> = (0..draws.len()).collect();
        permutation.sort_by_key(|&i| hue_place(&draws.samples[i].colour));
        let draws = permutation.iter().map(|&i| &draws.samples[i]).collect();
        Self { permutation, draws }
    }

    /// The permutation and its inverse. // (B), (B)
    pub(super) fn indices(&self, device: Device) -> (Tensor, Tensor) {
        let n = self.permutation.len();
        let mut both = vec![0i64; 2 * n];
        for (sorted, &original) in self.permutation.iter().enumerate() {
            both[sorted] = original as i64;
            both[n + original] = sorted as i64;
        }
        let both = upload(&both, device);
        (both.narrow(0, 0, n as i64), both.narrow(0, n as i64, n as i64))
    }
}

fn hue_place(colour: &Colour) -> usize {
    colour.order.iter().position(|&operation| operation == Operation::Hue).unwrap_or(AFFINE)
}

/// One affine pass: samples `start..end` of the sorted batch.
struct Pass {
    start: usize,
    end: usize,
    /// A row a sample: the 3×3 matrix that acts on a colour, and how much of the image's mean luminance is added.
    coefficients: Vec<[f32; 10]>,
}

impl Pass {
    /// The operation that `place` picks out of each sample's order; `None` where it has no such operation.
    fn new(draws: &[&Draw], place: impl Fn(usize) -> Option<usize>) -> Self {
        let mut pass = Self { start: 0, end: 0, coefficients: Vec::new() };
        for (i, draw) in draws.iter().enumerate() {
            let Some(place) = place(hue_place(&draw.colour)) else { continue };
            if pass.coefficients.is_empty() {
                pass.start = i;
            }
            pass.end = i + 1;
            pass.coefficients.push(coefficients(&draw.colour, draw.colour.order[place]));
        }
        pass
    }
}

/// torchvision blends an image with another one: black, its own mean luminance, its own luminance. Factors above 1 lead
/// away from the other image, hence the clamp in [`apply`].
fn coefficients(colour: &Colour, operation: Operation) -> [f32; 10] {
    let (keep, luminance, mean) = match operation {
        Operation::Brightness => (colour.brightness, 0.0, 0.0),
        Operation::Contrast => (colour.contrast, 0.0, 1.0 - colour.contrast),
        Operation::Saturation => (colour.saturation, 1.0 - colour.saturation, 0.0),
        Operation::Hue => (1.0, 0.0, 0.0),
    };
    let mut row = [0.0; 10];
    for (i, entry) in row[..9].iter_mut().enumerate() {
        let diagonal = if i / 3 == i % 3 { keep } else { 0.0 };
        *entry = diagonal + luminance * LUMINANCE[i % 3];
    }
    row[9] = mean;
    row
}

/// `xs`: (B, 3, P) in [0, 1], sorted as `plan`; so is the result.
pub(super) fn apply(xs: Tensor, plan: &Plan, device: Device) -> Tensor {
    let draws = &plan.draws;
    let before = (0..AFFINE).map(|j| Pass::new(draws, |hue| (j < hue).then_some(j)));
    let after =
        (0..AFFINE).map(|j| Pass::new(draws, |hue| (hue + j < AFFINE).then_some(hue + 1 + j)));
    let passes: Vec<Pass> = before.chain(after).collect();

    // One copy to the device for all passes, the turns of hue, and the weights of the luminance.
    let mut numbers: Vec<f32> =
        passes.iter().flat_map(|p| p.coefficients.iter().flatten()).copied().collect();
    let n_coefficients = numbers.len() as i64;
    numbers.extend(draws.iter().map(|draw| draw.colour.hue));
    numbers.extend(LUMINANCE);
    let numbers = upload(&numbers, device);
    let turns = numbers.narrow(0, n_coefficients, draws.len() as i64); // (B)
    let luminance = numbers.narrow(0, n_coefficients + draws.len() as i64, 3);

    let mut offset = 0;
    let mut xs = xs;
    for (j, pass) in passes.iter().enumerate() {
        if j == AFFINE {
            xs = turn(&xs, &turns);
        }
        let n = (pass.end - pass.start) as i64;
        if n == 0 {
            continue;
        }
        let rows = numbers.narrow(0, offset, 10 * n).view([n, 10]);
        offset += 10 * n;
        let part = xs.narrow(0, pass.start as i64, n); // (n, 3, P)
        let matrix = rows.narrow(1, 0, 9).reshape([n, 3, 3]);
        let mean = part.mean_dim(2i64, false, Kind::Float).mv(&luminance); // (n)
        let added = (mean * rows.select(1, 9)).view([n, 1, 1]);
        let _ = added.baddbmm(&matrix, &part, 1.0, 1.0).clamp_out(&part, 0.0, 1.0);
    }
    xs
}

/// Adds `turns` (B) to the hue of `xs` (B, 3, P), through HSV: value and chroma stay, so saturation does too.
///
/// With value v, chroma c, least channel l, the hue of (r, g, b) in sixths of a turn is 1 + (g + b - r - l) / c, with the
/// sign of g - b; no choice among the three channels, which tensors do slowly. The way back gives channel i = 5, 3, 1 as
/// v - c·max(0, min(k, 4 - k, 1)), k = (i + hue) mod 6 (<https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB_alternative>),
/// which is v - c·clamp(2 - 6·|d|, 0, 1), where d is the signed distance of (hue + i - 2) / 6 to the nearest integer.
fn turn(xs: &Tensor, turns: &Tensor) -> Tensor {
    let (r, g, b) = (xs.select(1, 0), xs.select(1, 1), xs.select(1, 2)); // (B, P)
    let value = xs.amax([1i64], false);
    let least = xs.amin([1i64], false);
    let mut chroma = &value - &least;
    let mut hue = &g + &b;
    let _ = hue.g_sub_(&r).g_sub_(&least);
    // Where chroma is 0 so is the numerator, and the colour is gray whatever its hue.
    let _ = hue.g_div_(&chroma.clamp_min(1e-20)).g_add_scalar_(1.0).copysign_(&(&g - &b));
    let _ = hue.g_mul_scalar_(1.0 / 6.0).g_add_(&turns.unsqueeze(1));

    // (i - 2) / 6 = 1/2, 1/6, -1/6, made on the device.
    let offsets = Tensor::arange_start_step(0.5, -0.4, -1.0 / 3.0, (Kind::Float, xs.device()));
    let mut hues = hue.unsqueeze(1) + offsets.view([1, 3, 1]); // (B, 3, P)
    let nearest = hues.round();
    // -clamp(2 - 6·|d|, 0, 1) / 6; the 6 goes into the chroma, which is a third as large.
    let less = hues.g_sub_(&nearest).abs_().g_sub_scalar_(1.0 / 3.0).clamp_(-1.0 / 6.0, 0.0);
    value.unsqueeze(1).addcmul(&chroma.g_mul_scalar_(6.0).unsqueeze(1), &less) // (B, 3, P)
}
