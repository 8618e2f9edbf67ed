//! The seam between a data set and whoever wants its images batch by batch, and reading ahead of them.
//!
//! Bytes only. Which region of an image a view shows is the caller's law, handed in as a function of the image's row and
//! size, because a file's size is known only once it is open.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::DataError;
use super::files::decode::Region;

/// The region that a view of image `row` shows, from the image's width and height.
pub type Choose = dyn Fn(u32, u32, u32) -> Region + Send + Sync;

/// How to look at images.
#[derive(Clone, Copy)]
pub enum Look<'a> {
    /// The shorter side scaled, the middle cropped: what evaluation sees.
    Whole,
    /// A region each, cut out of the image at its own resolution and scaled.
    Regions(&'a Choose),
}

/// Images that are made as they are asked for.
pub trait Loader: fmt::Debug + Send + Sync {
    /// Height and width of what is handed out, in pixels.
    fn side(&self) -> usize;

    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out`, (B, side, side, 3), with `rows` (B).
    ///
    /// # Errors
    /// The first file that cannot be read as an image, by name.
    ///
    /// # Panics
    /// When `out` is of another size, or a row is beyond the end.
    fn read(&self, rows: &[u32], look: Look, out: &mut [u8]) -> Result<(), DataError>;

    /// What tells these images from others without decoding them: names and sizes of the files, in order.
    fn stamp(&self) -> &[u8];
}

/// A batch to be read ahead.
#[derive(Clone)]
pub struct Order {
    /// Who asks knows what it means; two orders with one key are the same batch.
    pub key: u64,
    pub rows: Vec<u32>,
    /// The whole image where absent.
    pub regions: Option<Arc<Choose>>,
}

/// Decodes batches on a thread of its own (in parallel, on rayon's), while earlier ones are in use.
///
/// Batches come out in the order in which they were asked for. Nothing depends on how far ahead it got: a batch that was
/// not foreseen is decoded on the spot.
pub struct Prefetch {
    loader: Arc<dyn Loader>,
    orders: Sender<Order>,
    batches: Receiver<Result<Vec<u8>, DataError>>,
    /// Keys of what was asked for and not yet taken.
    pending: VecDeque<u64>,
}

impl Prefetch {
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(loader: Arc<dyn Loader>) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        let (outbox, batches) = mpsc::channel();
        let reader = Arc::clone(&loader);
        let work = move || {
            for order in inbox {
                // Whoever asked may be gone.
                if outbox.send(read(&*reader, &order)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("image-loader".to_owned()).spawn(work)?;
        Ok(Self { loader, orders, batches, pending: VecDeque::new() })
    }

    /// Number of batches asked for and not yet taken.
    pub fn ahead(&self) -> usize {
        self.pending.len()
    }

    /// Whether the batch `key` is on its way.
    pub fn expects(&self, key: u64) -> bool {
        self.pending.contains(&key)
    }

    /// Asks for a batch that will be taken after all that were asked for before.
    pub fn ask(&mut self, order: Order) {
        // A loader that died is noticed when its batch is taken.
        if self.orders.send(order.clone()).is_ok() {
            self.pending.push_back(order.key);
        }
    }

    /// The bytes of a batch, (B, side, side, 3). What was asked for before it and not taken is dropped.
    ///
    /// # Errors
    /// As [`Loader::read`].
    pub fn take(&mut self, order: &Order) -> Result<Vec<u8>, DataError> {
        if self.expects(order.key) {
            while let Some(key) = self.pending.pop_front() {
                let Ok(batch) = self.batches.recv() else { break };
                if key == order.key {
                    return batch;
                }
            }
        }
        read(&*self.loader, order)
    }
}

fn read(loader: &dyn Loader, order: &Order) -> Result<Vec<u8>, DataError> {
    let mut out = vec![0; order.rows.len() * 3 * loader.side() * loader.side()];
    let look = match &order.regions {
        Some(choose) => Look::Regions(&**choose),
        None => Look::Whole,
    };
    loader.read(&order.rows, look, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Images of one pixel that hold their row and the width of their region; row 9 is broken.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Loader for Counting {
        fn side(&self) -> usize {
            1
        }

        fn len(&self) -> usize {
            10
        }

        fn read(&self, rows: &[u32], look: Look, out: &mut [u8]) -> Result<(), DataError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            for (pixel, &row) in out.chunks_exact_mut(3).zip(rows) {
                if row == 9 {
                    return Err(DataError::malformed("row 9", "nothing", "something"));
                }
                let width = match look {
                    Look::Whole => 0,
                    Look::Regions(choose) => choose(row, 100, 50).width,
                };
                pixel.copy_from_slice(&[row as u8, width as u8, 0]);
            }
            Ok(())
        }

        fn stamp(&self) -> &[u8] {
            &[]
        }
    }

    fn order(key: u64, rows: &[u32]) -> Order {
        Order { key, rows: rows.to_vec(), regions: None }
    }

    #[test]
    fn batches_come_in_the_order_that_was_asked_for_each_read_once() {
        let loader = Arc::new(Counting::default());
        let mut prefetch = Prefetch::new(loader.clone()).unwrap();
        for key in 0..4 {
            prefetch.ask(order(key, &[key as u32, 5]));
        }
        assert_eq!(prefetch.ahead(), 4);
        for key in 0..4u64 {
            let bytes = prefetch.take(&order(key, &[key as u32, 5])).unwrap();
            assert_eq!(bytes, [key as u8, 0, 0, 5, 0, 0]);
        }
        assert_eq!(loader.0.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn what_was_not_foreseen_is_read_and_what_is_not_wanted_is_dropped() {
        let loader = Arc::new(Counting::default());
        let mut prefetch = Prefetch::new(loader).unwrap();
        assert_eq!(prefetch.take(&order(7, &[3])).unwrap(), [3, 0, 0]);
        prefetch.ask(order(0, &[0]));
        prefetch.ask(order(1, &[1]));
        assert_eq!(prefetch.take(&order(1, &[1])).unwrap(), [1, 0, 0]);
        assert_eq!(prefetch.ahead(), 0);
        assert_eq!(prefetch.take(&order(0, &[0])).unwrap(), [0, 0, 0]);
    }

    #[test]
    fn regions_follow_the_callers_law_and_errors_arrive_with_their_batch() {
        let mut prefetch = Prefetch::new(Arc::new(Counting::default())).unwrap();
        let half =
            |_, width: u32, height: u32| Region { left: 0, top: 0, width: width / 2, height };
        let regions: Option<Arc<Choose>> = Some(Arc::new(half));
        prefetch.ask(Order { key: 0, rows: vec![2], regions });
        prefetch.ask(order(1, &[9]));
        assert_eq!(prefetch.take(&order(0, &[2])).unwrap(), [2, 50, 0]);
        let message = prefetch.take(&order(1, &[9])).unwrap_err().to_string();
        assert_eq!(message, "row 9: found nothing, allowed: something");
    }
}
