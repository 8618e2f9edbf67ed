//! Lloyd's k-means, with empty clusters refilled.

use tch::{Kind, Tensor};

use crate::random::Stream;

/// Rows whose distances are held at once.
const CHUNK: i64 = 8192;
/// How far a refilled cluster's centroid starts from the one it was taken from, relative to its length.
const NUDGE: f64 = 1e-2;

/// What k-means found.
pub struct Clusters {
    /// Cluster of each row, (N,) i64 in 0..k.
    pub assignment: Tensor,
    /// (k, D) fp32
    pub centroids: Tensor,
    /// Empty clusters that were given a neighbour of another's centroid, over all iterations.
    pub n_refilled: u64,
}

/// At most `iterations` rounds over `rows` (N, D) from the first centroids `start` (k, D); ends early when nothing
/// changes. An empty cluster takes the centroid of a random cluster that is not, slightly moved, and the two share its
/// rows from then on (Caron et al. 2018, section 3.3). `stream` serves that alone.
///
/// The sums go through a matrix product with indicators, which adds in a fixed order: the same rows give the same bits.
pub fn kmeans(rows: &Tensor, start: &Tensor, iterations: u32, stream: &mut Stream) -> Clusters {
    tch::no_grad(|| {
        let k = start.size()[0];
        let mut centroids = start.copy();
        let mut assignment = nearest(rows, &centroids);
        let mut n_refilled = 0;
        for _ in 0..iterations {
            let (sums, counts) = sums(rows, &assignment, k); // (k, D), (k)
            centroids = &sums / counts.clamp_min(1.0).unsqueeze(1);
            n_refilled += refill(&mut centroids, &counts, stream);
            let new = nearest(rows, &centroids);
            let changed = new.ne_tensor(&assignment).any().int64_value(&[]) != 0;
            assignment = new;
            if !changed {
                break;
            }
        }
        Clusters { assignment, centroids, n_refilled }
    })
}

/// The best of several runs of [`kmeans`] with `k` clusters, each from other random rows: that whose rows lie nearest to their
/// centroids. Where a run ends depends on where it begins, and the restarts are what makes two methods' figures comparable.
pub fn best_of(
    runs: u32,
    rows: &Tensor,
    k: usize,
    iterations: u32,
    stream: &mut Stream,
) -> Option<Clusters> {
    let mut best: Option<(f64, Clusters)> = None;
    let mut order: Vec<i64> = (0..rows.size()[0]).collect();
    for _ in 0..runs {
        stream.shuffle(&mut order);
        let start = Tensor::from_slice(&order[..k.min(order.len())]).to_device(rows.device());
        let found = kmeans(rows, &rows.index_select(0, &start), iterations, stream);
        let spread = found.spread(rows);
        if best.as_ref().is_none_or(|(least, _)| spread < *least) {
            best = Some((spread, found));
        }
    }
    best.map(|(_, clusters)| clusters)
}

impl Clusters {
    /// Sum over `rows` (N, D) of their squared distances to their centroids.
    pub fn spread(&self, rows: &Tensor) -> f64 {
        let own = self.centroids.index_select(0, &self.assignment);
        (rows - own).square().sum(Kind::Double).double_value(&[])
    }
}

/// The nearest centroid of each row, (N,) i64; of equals the first.
fn nearest(rows: &Tensor, centroids: &Tensor) -> Tensor {
    // |x − c|² = |x|² − 2 (x·c − |c|²/2), and |x|² is the same for all c.
    let half = centroids.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Float) / 2.0; // (k)
    let n = rows.size()[0];
    let part = |start: i64| {
        let rows = rows.narrow(0, start, CHUNK.min(n - start));
        (rows.matmul(&centroids.tr()) - &half).argmax(1, false)
    };
    Tensor::cat(&(0..n).step_by(CHUNK as usize).map(part).collect::<Vec<_>>(), 0)
}

/// Sum (k, D) and number (k) of the rows in each cluster.
fn sums(rows: &Tensor, assignment: &Tensor, k: i64) -> (Tensor, Tensor) {
    let n = rows.size()[0];
    let mut sums = Tensor::zeros([k, rows.size()[1]], (Kind::Float, rows.device()));
    let mut counts = Tensor::zeros([k], (Kind::Float, rows.device()));
    for start in (0..n).step_by(CHUNK as usize) {
        let len = CHUNK.min(n - start);
        let indicator = assignment.narrow(0, start, len).one_hot(k).to_kind(Kind::Float); // (n, k)
        sums += indicator.tr().matmul(&rows.narrow(0, start, len));
        counts += indicator.sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
    }
    (sums, counts)
}

/// Gives every empty cluster a centroid; how many there were.
fn refill(centroids: &mut Tensor, counts: &Tensor, stream: &mut Stream) -> u64 {
    let counts: Vec<f32> = Vec::try_from(counts).unwrap_or_default();
    let (empty, full): (Vec<usize>, Vec<usize>) =
        (0..counts.len()).partition(|&cluster| counts[cluster] == 0.0);
    if full.is_empty() {
        return 0;
    }
    for &cluster in &empty {
        let of = full[stream.below(full.len() as u32) as usize];
        let source = centroids.get(of as i64); // (D)
        let noise: Vec<f32> = (0..source.numel()).map(|_| stream.normal()).collect();
        let noise = Tensor::from_slice(&noise).to_device(source.device());
        let scale = NUDGE * source.norm().double_value(&[]) / (source.numel() as f64).sqrt();
        centroids.get(cluster as i64).copy_(&(&source + noise * scale));
    }
    empty.len() as u64
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn an_empty_cluster_is_refilled_and_takes_part() {
        // Two heaps, and a third centroid so far off that nothing chooses it.
        let i = Tensor::arange(100, (Kind::Float, Device::Cpu));
        let x = &i.remainder(2.0) * 10.0 + (&i * 0.37).sin();
        let rows = Tensor::stack(&[x, (&i * 0.61).cos()], 1); // (100, 2)
        let start = Tensor::from_slice2(&[[0.0f32, 0.0], [10.0, 0.0], [1e3, 1e3]]);
        let mut random = stream(1, Purpose::Clusters, 0, 0);
        let found = kmeans(&rows, &start, 20, &mut random);
        assert_eq!(found.n_refilled, 1);
        let (_, counts) = sums(&rows, &found.assignment, 3);
        assert!(0.0 < counts.min().double_value(&[]));
        assert!(bool::try_from(found.centroids.isfinite().all()).unwrap());
    }

    #[test]
    fn chunks_leave_no_trace() {
        let n = CHUNK + 77;
        let rows = (Tensor::arange(2 * n, (Kind::Float, Device::Cpu)) * 0.7).sin().view([n, 2]);
        let assignment = nearest(&rows, &rows.narrow(0, 0, 5));
        let (sums, counts) = sums(&rows, &assignment, 5);
        let total = rows.sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
        let summed = sums.sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
        assert!((total - summed).abs().max().double_value(&[]) < 1e-2);
        assert_eq!(counts.sum(Kind::Float).double_value(&[]), n as f64);
    }

    /// Three clouds: two of three random rows in one of them is where a single run often stays.
    #[test]
    fn of_several_runs_the_tightest_counts() {
        let mut clouds = stream(1, Purpose::Evaluation, 0, 0);
        let rows: Vec<f32> = (0..60)
            .flat_map(|i| [(i % 3) as f32 * 10.0, 0.0].map(|centre| centre + 0.1 * clouds.normal()))
            .collect();
        let rows = Tensor::from_slice(&rows).view([60, 2]);
        let spread = |runs: u32, seed: u64| {
            let mut starts = stream(seed, Purpose::Evaluation, 1, 0);
            best_of(runs, &rows, 3, 100, &mut starts).unwrap().spread(&rows)
        };
        let single: Vec<f64> = (0..20).map(|seed| spread(1, seed)).collect();
        assert!(single.iter().any(|&spread| 100.0 < spread), "{single:?}");
        assert!((0..20).all(|seed| spread(10, seed) < 5.0));
        assert!(best_of(0, &rows, 3, 100, &mut stream(0, Purpose::Evaluation, 1, 0)).is_none());
    }
}
