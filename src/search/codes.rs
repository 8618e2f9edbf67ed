//! Rows at eight bits a number, sixteen of them side by side, and their products with one query.
//!
//! A row x is held as codes c in 1..=255 and a scale s, x ≈ s · (c − 128). A query has two levels of eight bits,
//! q ≈ t · (64 h + l), so that nearly all of the rounding is the rows'. Everything up to the last multiplication is
//! integers, the same on every processor.

/// Rows side by side.
pub const SIDE: usize = 16;
/// Numbers of each row in one line.
const DEPTH: usize = 4;
const ZERO: i32 = 128;
/// What a step of the query's upper level is worth in steps of the lower.
const LEVEL: i32 = 64;
/// Most numbers of a row whose products with a query fit 32 bits: 127 · 127 · 64 each.
pub const MOST: usize = 2048;

/// Four numbers of each of sixteen rows.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Line([u8; SIDE * DEPTH]);

pub const EMPTY: Line = Line([ZERO as u8; SIDE * DEPTH]);

/// Lines of a row of `dim` numbers.
pub fn depth(dim: usize) -> usize {
    dim.div_ceil(DEPTH)
}

/// Writes `row` into `column` of its group's lines. The scale, and how far rounding moved the row.
pub fn encode(row: &[f32], column: usize, lines: &mut [Line]) -> (f32, f64) {
    let most = row.iter().fold(0f32, |most, x| most.max(x.abs()));
    let scale = most / 127.0;
    let per = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let mut off = 0.0;
    for (i, &x) in row.iter().enumerate() {
        let step = (x * per).round_ties_even().clamp(-127.0, 127.0);
        lines[i / DEPTH].0[column * DEPTH + i % DEPTH] = (step as i32 + ZERO) as u8;
        off += (f64::from(x) - f64::from(scale) * f64::from(step)).powi(2);
    }
    (scale, off.sqrt())
}

/// A query as the lines are multiplied with it.
pub struct Query {
    /// Four numbers for each line: upper and lower level.
    upper: Vec<[i8; DEPTH]>,
    lower: Vec<[i8; DEPTH]>,
    /// What the sums begin at, which takes the 128 off the codes.
    from: (i32, i32),
    pub scale: f32,
    /// How far rounding moved it.
    pub off: f64,
}

impl Query {
    pub fn new(query: &[f32]) -> Query {
        let most = query.iter().fold(0f32, |most, x| most.max(x.abs()));
        let scale = most / (127 * LEVEL) as f32;
        let per = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let mut levels =
            (vec![[0; DEPTH]; depth(query.len())], vec![[0; DEPTH]; depth(query.len())]);
        let (mut off, mut sums) = (0.0, (0, 0));
        for (i, &x) in query.iter().enumerate() {
            let most = 127 * LEVEL;
            let step = ((x * per).round_ties_even() as i32).clamp(-most, most);
            let upper = (step + LEVEL / 2).div_euclid(LEVEL);
            let lower = step - LEVEL * upper;
            levels.0[i / DEPTH][i % DEPTH] = upper as i8;
            levels.1[i / DEPTH][i % DEPTH] = lower as i8;
            sums = (sums.0 + upper, sums.1 + lower);
            off += (f64::from(x) - f64::from(scale) * f64::from(step)).powi(2);
        }
        let from = (-ZERO * sums.0, -ZERO * sums.1);
        Query { upper: levels.0, lower: levels.1, from, scale, off: off.sqrt() }
    }

    /// Products with the rows of some groups, in steps of both scales: `lines` are those of one group after another.
    pub fn products(&self, lines: &[Line], out: &mut [[i32; SIDE]]) {
        #[cfg(target_arch = "x86_64")]
        if vnni::usable() {
            return vnni::products(self, lines, out);
        }
        self.plain_products(lines, out);
    }

    fn plain_products(&self, lines: &[Line], out: &mut [[i32; SIDE]]) {
        for (lines, out) in lines.chunks_exact(self.upper.len()).zip(out) {
            let (mut upper, mut lower) = ([self.from.0; SIDE], [self.from.1; SIDE]);
            for (line, (u, l)) in lines.iter().zip(self.upper.iter().zip(&self.lower)) {
                let rows = line.0.as_chunks::<DEPTH>().0.iter();
                for (codes, sums) in rows.zip(upper.iter_mut().zip(&mut lower)) {
                    for (&code, (&u, &l)) in codes.iter().zip(u.iter().zip(l)) {
                        *sums.0 += i32::from(code) * i32::from(u);
                        *sums.1 += i32::from(code) * i32::from(l);
                    }
                }
            }
            *out = std::array::from_fn(|row| LEVEL * upper[row] + lower[row]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    //! The same by AVX-512 VNNI: one instruction multiplies and adds a line.

    use std::arch::x86_64::*;

    use super::{LEVEL, Line, Query, SIDE};

    pub fn usable() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
    }

    /// Groups in flight, to hide the latency of each one's chain of additions.
    const ABREAST: usize = 4;

    #[expect(unsafe_code, reason = "what the processor has is known at run time alone")]
    pub fn products(query: &Query, lines: &[Line], out: &mut [[i32; SIDE]]) {
        assert!(usable() && lines.len() == out.len() * query.upper.len());
        // SAFETY: the processor has both features, as just asserted.
        unsafe { by_lines(query, lines, out) }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn by_lines(query: &Query, lines: &[Line], out: &mut [[i32; SIDE]]) {
        let depth = query.upper.len();
        let (lines, out) = (lines.chunks(ABREAST * depth), out.chunks_mut(ABREAST));
        for (lines, out) in lines.zip(out) {
            if out.len() == ABREAST {
                abreast::<ABREAST>(query, lines, out);
            } else {
                for (lines, out) in lines.chunks_exact(depth).zip(out.chunks_exact_mut(1)) {
                    abreast::<1>(query, lines, out);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    #[expect(unsafe_code, reason = "loads and stores take raw pointers")]
    fn abreast<const N: usize>(query: &Query, lines: &[Line], out: &mut [[i32; SIDE]]) {
        let depth = query.upper.len();
        let mut upper = [_mm512_set1_epi32(query.from.0); N];
        let mut lower = [_mm512_set1_epi32(query.from.1); N];
        for (i, (u, l)) in query.upper.iter().zip(&query.lower).enumerate() {
            let of = |level: &[i8; 4]| {
                _mm512_set1_epi32(i32::from_le_bytes(level.map(|number| number as u8)))
            };
            let (u, l) = (of(u), of(l));
            for group in 0..N {
                let line = &lines[group * depth + i];
                // SAFETY: a line is 64 bytes, aligned to 64.
                let codes = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
                upper[group] = _mm512_dpbusd_epi32(upper[group], codes, u);
                lower[group] = _mm512_dpbusd_epi32(lower[group], codes, l);
            }
        }
        for (out, (upper, lower)) in out.iter_mut().zip(upper.into_iter().zip(lower)) {
            let upper = _mm512_mullo_epi32(upper, _mm512_set1_epi32(LEVEL));
            let sum = _mm512_add_epi32(upper, lower);
            // SAFETY: `out` is 16 numbers of 4 bytes; the store needs no alignment.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without VNNI there is only one form.
    #[test]
    fn both_forms_give_the_integers_that_the_levels_say() {
        let number = |i: usize| ((i * 2_654_435_761) >> 9 & 0xffff) as f32 / 32_768.0 - 1.0;
        for dim in [1, 4, 30, 128, MOST] {
            let groups = 7;
            let mut lines = vec![EMPTY; groups * depth(dim)];
            // The greatest numbers there are, and any.
            let row = |r: usize| -> Vec<f32> {
                (0..dim).map(|i| if r == 3 { 1.0 } else { number(r * dim + i) }).collect()
            };
            for r in 0..groups * SIDE {
                let lines = &mut lines[r / SIDE * depth(dim)..][..depth(dim)];
                encode(&row(r), r % SIDE, lines);
            }
            for features in [vec![1.0; dim], (7_000..7_000 + dim).map(number).collect()] {
                let query = Query::new(&features);
                let (mut fast, mut plain) = (vec![[0; SIDE]; groups], vec![[0; SIDE]; groups]);
                query.products(&lines, &mut fast);
                query.plain_products(&lines, &mut plain);
                assert!(fast == plain, "D = {dim}");
                let (mut own, mut column) = (vec![EMPTY; depth(dim)], vec![[0; SIDE]; 1]);
                let (scale, off) = encode(&row(5), 0, &mut own);
                query.products(&own, &mut column);
                let found = f64::from(column[0][0]) * f64::from(scale) * f64::from(query.scale);
                let exact: f64 =
                    row(5).iter().zip(&features).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let length =
                    |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                let allowed = length(&features) * off + query.off * (length(&row(5)) + off);
                assert!((found - exact).abs() <= allowed + 1e-9, "D = {dim}: {found} for {exact}");
            }
        }
    }
}
