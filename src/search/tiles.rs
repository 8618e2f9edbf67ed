//! The first pass of a search on AMX: products of bf16 rows, summed in fp32 by the processor's tile unit, sixteen times
//! as many a cycle as fp32 vectors make. What rounding to bf16 costs is known row by row ([`Tiles::margin`]).
//!
//! The standard library has no AMX yet, so the instructions stand here as assembly.

use super::rows::{Lengths, length};

/// Rows of a tile, and the queries or bank rows that one takes.
pub const SIDE: usize = 16;
/// Numbers of a row that one tile takes.
const DEPTH: usize = 32;
/// Queries and bank rows of one call of the kernel.
pub const PANEL: usize = 2 * SIDE;

/// One tile's registers: 16 rows of 64 bytes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Tile([u16; 512]);

const EMPTY: Tile = Tile([0; 512]);

/// Similarities of [`PANEL`] queries (rows) with [`PANEL`] bank rows.
#[repr(C, align(64))]
pub struct Panel(pub [[f32; PANEL]; PANEL]);

/// A bank as the tile unit reads it.
pub struct Tiles {
    /// For every 16 positions the tiles of their rows, padded with zeros.
    tiles: Vec<Tile>,
    /// Tiles of a row.
    depth: usize,
    /// Longest row, and the most that rounding moved one.
    lengths: Lengths,
}

impl Tiles {
    /// `bank` (n·dim) with row `order(i)` at position i; nothing where the processor has no AMX.
    pub fn pack(bank: &[f32], dim: usize, order: impl Fn(usize) -> usize + Sync) -> Option<Tiles> {
        use rayon::prelude::*;
        if !amx::usable() {
            return None;
        }
        let (n, depth) = (bank.len() / dim, dim.div_ceil(DEPTH));
        let mut tiles = vec![EMPTY; n.div_ceil(PANEL) * 2 * depth];
        let lengths = tiles.par_chunks_mut(depth).enumerate().map(|(group, tiles)| {
            let mut lengths = Lengths::default();
            for column in 0..SIDE.min(n.saturating_sub(group * SIDE)) {
                let row = &bank[order(group * SIDE + column) * dim..][..dim];
                let mut off = 0.0;
                for (i, &x) in row.iter().enumerate() {
                    let short = bf16(x);
                    off += f64::from(x - wide(short)).powi(2);
                    // Pairs of numbers lie side by side, columns beside each other.
                    tiles[i / DEPTH].0[i % DEPTH / 2 * DEPTH + column * 2 + i % 2] = short;
                }
                lengths.take(length(row), off.sqrt());
            }
            lengths
        });
        let lengths = lengths.reduce(Lengths::default, Lengths::with);
        Some(Tiles { tiles, depth, lengths })
    }

    /// Up to 2·16·x queries as the tile unit reads them.
    pub fn queries(&self, queries: &[f32], dim: usize) -> Queries {
        let n = queries.len() / dim;
        let mut tiles = vec![EMPTY; n.div_ceil(PANEL) * 2 * self.depth];
        let margins = queries.chunks_exact(dim).enumerate().map(|(q, query)| {
            let tiles = &mut tiles[q / SIDE * self.depth..];
            let mut off = 0.0;
            for (i, &x) in query.iter().enumerate() {
                let short = bf16(x);
                off += f64::from(x - wide(short)).powi(2);
                tiles[i / DEPTH].0[q % SIDE * DEPTH + i % DEPTH] = short;
            }
            self.margin(length(query), off.sqrt(), dim)
        });
        let margins = margins.collect();
        Queries { tiles, margins }
    }

    /// Most that a similarity can be off by, for a query of length |q| that rounding moved by |e|: with v + d the
    /// rounded row, |q·v − (q + e)·(v + d)| ≤ |q||d| + |e||v + d|, and then the additions in fp32.
    fn margin(&self, query: f64, off: f64, dim: usize) -> f32 {
        let (row, row_off) = (self.lengths.longest, self.lengths.off);
        let additions = (dim + 8) as f64 * f64::from(f32::EPSILON) * query * row * 1.1;
        ((query * row_off + off * (row + row_off) + additions) * 1.001) as f32
    }

    pub fn n_panels(&self) -> usize {
        self.tiles.len() / (2 * self.depth)
    }

    /// Similarities of the queries of `panel` with the positions of bank panel `at`.
    pub fn multiply(
        &self,
        unit: &amx::Unit,
        queries: &Queries,
        panel: usize,
        at: usize,
        out: &mut Panel,
    ) {
        let tiles = 2 * self.depth;
        let (a, b) = (&queries.tiles[panel * tiles..][..tiles], &self.tiles[at * tiles..][..tiles]);
        unit.multiply(a, b, self.depth, out);
    }
}

/// Queries beside what their similarities can be off by.
pub struct Queries {
    tiles: Vec<Tile>,
    pub margins: Vec<f32>,
}

/// The nearest bf16; ties to even, NaN stays.
fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() { 0x7fc0 } else { (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16 }
}

fn wide(short: u16) -> f32 {
    f32::from_bits(u32::from(short) << 16)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod amx {
    //! The tile unit of this thread.

    use std::arch::asm;
    use std::marker::PhantomData;
    use std::sync::OnceLock;

    use super::{Panel, Tile};

    /// Whether the processor has AMX-BF16 and the kernel of the operating system lets this process use it.
    pub fn usable() -> bool {
        static USABLE: OnceLock<bool> = OnceLock::new();
        *USABLE.get_or_init(|| {
            let features = raw_cpuid::CpuId::new().get_extended_feature_info();
            features.is_some_and(|f| f.has_amx_bf16() && f.has_amx_tile()) && permitted()
        })
    }

    /// Asks Linux for the tile registers, which it gives to who asks (arch_prctl, ARCH_REQ_XCOMP_PERM).
    #[expect(unsafe_code, reason = "a system call that no crate here has")]
    fn permitted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let result: i64;
        // SAFETY: this call reads two numbers and changes what the process may do with its registers; it touches no
        // memory of ours. A kernel that does not know it answers with an error.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") REQUEST,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    /// The tile registers of this thread, configured; released when dropped. Not to be sent to another thread.
    pub struct Unit(PhantomData<*const ()>);

    impl Unit {
        /// Configures all eight registers as 16 rows of 64 bytes.
        #[expect(unsafe_code, reason = "AMX instructions")]
        pub fn new() -> Option<Unit> {
            #[repr(C, align(64))]
            struct Config([u8; 64]);
            if !usable() {
                return None;
            }
            let mut config = Config([0; 64]);
            config.0[0] = 1; // palette
            for tile in 0..8 {
                config.0[16 + 2 * tile] = 64; // bytes of a row
                config.0[48 + tile] = 16; // rows
            }
            // SAFETY: AMX is there and permitted (`usable`). The instruction reads the 64 bytes behind the pointer. Tile
            // registers belong to nobody else: compiled code never uses them, and this thread has one unit at a time
            // or several that configure the same.
            unsafe {
                asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly));
            };
            Some(Unit(PhantomData))
        }

        /// out = queries · rowsᵀ, for two groups of `depth` tiles of each.
        #[expect(unsafe_code, reason = "AMX instructions")]
        pub fn multiply(&self, queries: &[Tile], rows: &[Tile], depth: usize, out: &mut Panel) {
            assert!(0 < depth && queries.len() == 2 * depth && rows.len() == 2 * depth);
            // SAFETY: the registers are configured (`Unit::new`). The loop reads `depth` tiles of 1024 bytes behind each
            // of four pointers, which the assertion says are there, and the stores write rows of 64 bytes, 128 apart,
            // at four corners of the panel: 32 × 128 bytes in all, its size.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{a0} + {line}*1]",
                    "tileloadd tmm6, [{b0} + {line}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b1} + {line}*1]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{a1} + {line}*1]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {a0}, 1024",
                    "add {a1}, 1024",
                    "add {b0}, 1024",
                    "add {b1}, 1024",
                    "dec {depth}",
                    "jnz 2b",
                    "add {line}, {line}",
                    "tilestored [{out} + {line}*1], tmm0",
                    "tilestored [{out} + {line}*1 + 64], tmm1",
                    "tilestored [{out} + {line}*1 + 2048], tmm2",
                    "tilestored [{out} + {line}*1 + 2112], tmm3",
                    a0 = inout(reg) queries.as_ptr() => _,
                    a1 = inout(reg) queries.as_ptr().add(depth) => _,
                    b0 = inout(reg) rows.as_ptr() => _,
                    b1 = inout(reg) rows.as_ptr().add(depth) => _,
                    depth = inout(reg) depth => _,
                    line = inout(reg) 64usize => _,
                    out = in(reg) out.0.as_mut_ptr(),
                    options(nostack),
                );
            }
        }
    }

    impl Drop for Unit {
        #[expect(unsafe_code, reason = "AMX instructions")]
        fn drop(&mut self) {
            // SAFETY: brings the registers into the state they had; a thread that keeps them pays at every switch.
            unsafe {
                asm!("tilerelease", options(nostack, nomem));
            }
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub mod amx {
    //! No tile unit here.

    use super::{Panel, Tile};

    pub fn usable() -> bool {
        false
    }

    pub enum Unit {}

    impl Unit {
        pub fn new() -> Option<Unit> {
            None
        }

        pub fn multiply(&self, _: &[Tile], _: &[Tile], _: usize, _: &mut Panel) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_the_nearest_and_keeps_what_is_no_number() {
        for (x, expected) in
            [(1.0, 1.0), (1.0 + 1.0 / 256.0, 1.0), (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0)]
        {
            assert_eq!(wide(bf16(x)), expected);
        }
        assert!(wide(bf16(f32::NAN)).is_nan());
        assert_eq!(wide(bf16(f32::MAX)), f32::INFINITY);
    }

    /// Where there is no AMX there is nothing to hold against the sums.
    #[test]
    fn products_are_within_the_margin_of_the_exact_ones() {
        let number = |i: usize| ((i * 2_654_435_761) >> 9 & 0xffff) as f32 / 32_768.0 - 1.0;
        for dim in [1, 32, 50, 128] {
            let bank: Vec<f32> = (0..dim * 70).map(number).collect();
            let queries: Vec<f32> = (9_999..9_999 + dim * 40).map(number).collect();
            let Some(tiles) = Tiles::pack(&bank, dim, |i| 69 - i) else { return };
            let packed = tiles.queries(&queries, dim);
            let unit = amx::Unit::new().unwrap();
            let mut out = Panel([[0.0; PANEL]; PANEL]);
            for (q, query) in queries.chunks_exact(dim).enumerate() {
                for at in 0..70 {
                    tiles.multiply(&unit, &packed, q / PANEL, at / PANEL, &mut out);
                    let found = out.0[q % PANEL][at % PANEL];
                    let row = &bank[(69 - at) * dim..][..dim];
                    let exact: f64 =
                        query.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    let off = (f64::from(found) - exact).abs();
                    let margin = f64::from(packed.margins[q]);
                    assert!(off <= margin, "{q}, {at}: {found} for {exact}, margin {margin}");
                    assert!(margin < 0.01 * dim as f64);
                }
            }
        }
    }
}
