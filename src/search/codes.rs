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
        } else if avx2::usable() {
            return avx2::products(self, lines, out);
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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! The same by AVX2, for processors without VNNI: both levels at once, as numbers of 16 bits.

    use std::arch::x86_64::*;

    use super::{DEPTH, LEVEL, Line, Query, SIDE};

    pub fn usable() -> bool {
        is_x86_feature_detected!("avx2")
    }

    /// Groups that share a read of the query.
    const ABREAST: usize = 2;
    /// Registers of a group: four rows each, two sums a row.
    const REGISTERS: usize = SIDE / 4;

    #[expect(unsafe_code, reason = "what the processor has is known at run time alone")]
    pub fn products(query: &Query, lines: &[Line], out: &mut [[i32; SIDE]]) {
        assert!(usable() && lines.len() == out.len() * query.upper.len());
        // SAFETY: the processor has the feature, as just asserted.
        unsafe { by_lines(query, lines, out) }
    }

    #[target_feature(enable = "avx2")]
    fn by_lines(query: &Query, lines: &[Line], out: &mut [[i32; SIDE]]) {
        let depth = query.upper.len();
        let whole = |(u, l): (&[i8; DEPTH], &[i8; DEPTH])| {
            let number = |i: usize| LEVEL as i16 * i16::from(u[i]) + i16::from(l[i]);
            let bits = |i: usize| u64::from(number(i).cast_unsigned()) << (16 * i);
            (bits(0) | bits(1) | bits(2) | bits(3)).cast_signed()
        };
        let numbers: Vec<i64> = query.upper.iter().zip(&query.lower).map(whole).collect();
        let from = LEVEL * query.from.0 + query.from.1;
        let (lines, out) = (lines.chunks(ABREAST * depth), out.chunks_mut(ABREAST));
        for (lines, out) in lines.zip(out) {
            if out.len() == ABREAST {
                abreast::<ABREAST>(&numbers, from, lines, out);
            } else {
                abreast::<1>(&numbers, from, lines, out);
            }
        }
    }

    #[target_feature(enable = "avx2")]
    #[expect(unsafe_code, reason = "loads and stores take raw pointers")]
    fn abreast<const N: usize>(
        numbers: &[i64],
        from: i32,
        lines: &[Line],
        out: &mut [[i32; SIDE]],
    ) {
        let mut sums = [[_mm256_setzero_si256(); REGISTERS]; N];
        for (i, &four) in numbers.iter().enumerate() {
            let four = _mm256_set1_epi64x(four);
            for (group, sums) in sums.iter_mut().enumerate() {
                let codes = &lines[group * numbers.len() + i].0;
                for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<16>().0) {
                    // SAFETY: `codes` is 16 bytes; the load needs no alignment.
                    let codes = unsafe { _mm_loadu_si128(codes.as_ptr().cast()) };
                    // A code is below 2⁸ and a number of the query below 2¹³: two products fit 32 bits. The sum of many
                    // may not, but what `from` takes off brings it back, as integers wrap.
                    let products = _mm256_madd_epi16(_mm256_cvtepu8_epi16(codes), four);
                    *sum = _mm256_add_epi32(*sum, products);
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, pair) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums.as_chunks::<2>().0) {
                // Rows 0 1 4 5 2 3 6 7, as lanes of 128 bits are added up apart.
                let added = _mm256_hadd_epi32(pair[0], pair[1]);
                let rows = _mm256_permute4x64_epi64::<0b11_01_10_00>(added);
                let rows = _mm256_add_epi32(rows, _mm256_set1_epi32(from));
                // SAFETY: `out` is 8 numbers of 4 bytes; the store needs no alignment.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), rows) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Form = fn(&Query, &[Line], &mut [[i32; SIDE]]);

    /// Those that this processor has, beside the plain one.
    fn forms() -> Vec<(&'static str, Form)> {
        let mut forms: Vec<(&str, Form)> = vec![("the best", Query::products)];
        #[cfg(target_arch = "x86_64")]
        {
            if avx2::usable() {
                forms.push(("AVX2", avx2::products));
            }
            if vnni::usable() {
                forms.push(("VNNI", vnni::products));
            }
        }
        forms
    }

    #[test]
    fn every_form_gives_the_integers_that_the_levels_say() {
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
                let mut plain = vec![[0; SIDE]; groups];
                query.plain_products(&lines, &mut plain);
                for (name, form) in forms() {
                    let mut fast = vec![[0; SIDE]; groups];
                    form(&query, &lines, &mut fast);
                    assert!(fast == plain, "D = {dim}, {name}");
                }
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
