//! A run's memory bank to be searched again and again: an index in memory, the rows themselves left in the checkpoint.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{Array, Saved, SavedError};
use crate::search::{Index, Neighbour};

/// Answers which rows are nearest to a row. Holds a byte a number and four a row; n·D·4 bytes stay on disk.
pub struct Standing {
    index: Index,
    dim: usize,
    file: File,
    /// Where the bank's first row lies in the file.
    start: u64,
}

impl Standing {
    /// Of `bank`, which is that of `saved`.
    ///
    /// # Errors
    /// Rows that are too long for an index; the checkpoint's file has gone.
    pub fn new(saved: &Saved, bank: &Array) -> Result<Standing, SavedError> {
        let dim = bank.shape[1];
        if Index::MOST < dim {
            return Err(saved.shape(
                "bank",
                format!("{:?}", bank.shape),
                "at most 2048 numbers a row",
            ));
        }
        let mut index = Index::new(dim);
        index.extend(&bank.numbers);
        let gone =
            |e: io::Error| SavedError::Damaged { path: saved.path.clone(), why: e.to_string() };
        let file = File::open(&saved.path).map_err(gone)?;
        Ok(Standing { index, dim, file, start: saved.place("bank")? })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The `k` rows nearest to `row`, itself left out; exact, in the order of [`crate::search::top_k`].
    ///
    /// # Errors
    /// The checkpoint cannot be read any more.
    pub fn near(&self, row: u32, k: usize) -> io::Result<Vec<Neighbour>> {
        let mut query = vec![0f32; self.dim];
        self.row(row, &mut query)?;
        let mut near = self.index.top_k(&query, k + 1, |row, out| self.row(row, out))?;
        near.retain(|other| other.row != row);
        near.truncate(k);
        Ok(near)
    }

    fn row(&self, row: u32, out: &mut [f32]) -> io::Result<()> {
        let mut bytes = vec![0; 4 * self.dim];
        let before = u64::from(row) * bytes.len() as u64;
        self.file.read_exact_at(&mut bytes, self.start + before)?;
        for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *out = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::checkpoint;
    use super::*;

    #[test]
    fn rows_are_found_by_what_lies_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let bank = [1.0, 0.0, 0.6, 0.8, 0.8, 0.6, 0.0, 1.0];
        let run = checkpoint(dir.path(), 5, &[("a", &[1], &[7.0]), ("bank", &[4, 2], &bank)]);
        let saved = Saved::open(&run, None).unwrap();
        let standing = Standing::new(&saved, &saved.bank().unwrap()).unwrap();
        assert_eq!(standing.len(), 4);
        let near = standing.near(0, 2).unwrap();
        let expected =
            [(2, 0.8f32), (1, 0.6)].map(|(row, similarity)| Neighbour { row, similarity });
        assert_eq!(near, expected);
    }
}
