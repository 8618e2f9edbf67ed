//! A run's image search as its screen reads it: what was found, and how.

use crate::saved::{Method, Neighbours};
use crate::store::RunId;

/// Neighbours of each query.
pub const K: usize = 10;

/// What the search of one run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub run: RunId,
    /// Steps of the checkpoint whose bank was searched.
    pub step: Option<u64>,
    pub dataset: String,
    pub classes: Vec<String>,
    /// Of every training image, an index into `classes` or [`crate::data::UNLABELLED`].
    pub labels: Vec<u16>,
    /// By query, ascending; none where there is no bank: then the images alone are shown.
    pub strips: Vec<Neighbours>,
    /// Why there are no strips, or no images.
    pub why: Option<String>,
}

/// The memory bank of a search on a plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    pub run: RunId,
    pub step: u64,
    /// Numbers of the training images on it, ascending; each is a query of the search.
    pub rows: Vec<u32>,
    pub method: Method,
    /// How it was made, from the method's name on.
    pub words: String,
    /// Where they are: x to the right and y upwards, in [0, 1].
    pub places: Vec<[f32; 2]>,
    /// Why there is none.
    pub why: Option<String>,
}

impl Found {
    /// The strip of a training image, if it was searched.
    pub fn strip_of(&self, row: u32) -> Option<&Neighbours> {
        let at = self.strips.binary_search_by_key(&(row as usize), |strip| strip.query).ok()?;
        self.strips.get(at)
    }

    /// The name of an image's class.
    pub fn class(&self, row: usize) -> &str {
        let label = self.labels.get(row).copied().unwrap_or(crate::data::UNLABELLED);
        self.classes.get(usize::from(label)).map_or("unlabelled", String::as_str)
    }

    /// Whether two images are known to be of one class.
    pub fn alike(&self, a: usize, b: usize) -> bool {
        let label =
            |row: usize| self.labels.get(row).filter(|label| **label != crate::data::UNLABELLED);
        label(a).is_some() && label(a) == label(b)
    }

    /// Share of all neighbours that are of their query's class, in [0, 1].
    pub fn agreement(&self) -> Option<f64> {
        let n = self.strips.len();
        (n > 0).then(|| self.strips.iter().map(|strip| strip.alike).sum::<f64>() / n as f64)
    }
}
