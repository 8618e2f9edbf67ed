//! Numbers about a data set's bytes: channel means and deviations, and the fingerprint.

use sha2::{Digest, Sha256};

use super::Split;
use crate::files::hex;

/// Mean and standard deviation of each channel over all pixels, in units of 255.
///
/// Summed in integers, so the order of the images does not show in the last bit.
pub(super) fn channels(images: &[u8]) -> ([f32; 3], [f32; 3]) {
    let mut sum = [0u64; 3];
    let mut square = [0u64; 3];
    for pixel in images.chunks_exact(3) {
        for c in 0..3 {
            let value = u64::from(pixel[c]);
            sum[c] += value;
            square[c] += value * value;
        }
    }
    let n = (images.len() / 3).max(1) as f64;
    let mean = sum.map(|s| s as f64 / n);
    let variance = |c: usize| (square[c] as f64 / n - mean[c] * mean[c]).max(0.0);
    let std = std::array::from_fn(|c| {
        // A channel without any variation is left as it is, not divided by zero.
        let std = variance(c).sqrt();
        if std == 0.0 { 1.0 } else { (std / 255.0) as f32 }
    });
    (mean.map(|m| (m / 255.0) as f32), std)
}

/// Channel means and deviations of ImageNet, as every recipe for it has them. They serve for all sets that stay on disk:
/// computing their own would take a pass over all files.
pub(super) const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// SHA-256 over everything that decides what a run sees: class names, side, and labels and pixels of the splits, in
/// order. Lengths go in first, so that no two data sets share one byte string. Of images on disk the names and sizes of
/// their files go in: a file that changed without changing its size goes unnoticed.
pub(super) fn fingerprint(classes: &[String], side: usize, splits: &[&Split]) -> String {
    let mut hash = Sha256::new();
    hash.update((side as u64).to_le_bytes());
    hash.update((classes.len() as u64).to_le_bytes());
    for class in classes {
        hash.update((class.len() as u64).to_le_bytes());
        hash.update(class);
    }
    for split in splits {
        hash.update((split.len() as u64).to_le_bytes());
        for label in &split.labels {
            hash.update(label.to_le_bytes());
        }
        hash.update(&split.images);
        if let Some(disk) = &split.disk {
            hash.update(b"on disk");
            hash.update(disk.stamp());
        }
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_statistics_of_a_known_image() {
        // Red 0 and 255, green always 51, blue 51 and 102.
        let (mean, std) = channels(&[0, 51, 51, 255, 51, 102]);
        assert_eq!(mean, [0.5, 0.2, 0.3]);
        assert_eq!(std, [0.5, 1.0, 0.1]);
    }

    #[test]
    fn the_fingerprint_sees_pixels_labels_names_and_order() {
        let names = |list: [&str; 2]| list.map(str::to_owned).to_vec();
        let split = |images: [u8; 6], labels: [u16; 2]| Split {
            images: images.to_vec(),
            labels: labels.to_vec(),
            disk: None,
        };
        let base = split([1, 2, 3, 4, 5, 6], [0, 1]);
        let of = |classes: [&str; 2], train: &Split, test: &Split| {
            fingerprint(&names(classes), 1, &[train, test])
        };
        let first = of(["a", "b"], &base, &base);
        assert_eq!(first.len(), 64);
        assert_eq!(first, of(["a", "b"], &base, &base));
        let others = [
            of(["a", "c"], &base, &base),
            of(["a", "b"], &split([4, 5, 6, 1, 2, 3], [1, 0]), &base),
            of(["a", "b"], &base, &split([1, 2, 3, 4, 5, 7], [0, 1])),
            of(["a", "b"], &split([1, 2, 3, 4, 5, 6], [1, 1]), &base),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
