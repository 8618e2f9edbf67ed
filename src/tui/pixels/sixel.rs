//! Sixels (DEC STD 070): bands of six rows, colour by colour. A fixed cube of colours with ordered dithering, so that an
//! image takes microseconds and neighbouring images share their palette.

use std::fmt::Write;

/// Steps of each channel: 6³ = 216 of the 256 registers that terminals have.
const STEPS: u16 = 6;

/// Bayer's 4×4 matrix.
const DITHER: [[u16; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

fn register(rgb: &[u8], x: usize, y: usize) -> u8 {
    // Between −½ and ½ of a step.
    let nudge = (2 * i32::from(DITHER[y % 4][x % 4]) - 15) * 255 / (32 * i32::from(STEPS - 1));
    let step = |channel: u8| {
        let nudged = (i32::from(channel) + nudge).clamp(0, 255);
        ((nudged * i32::from(STEPS - 1) + 127) / 255) as u8
    };
    let steps = STEPS as u8;
    (step(rgb[0]) * steps + step(rgb[1])) * steps + step(rgb[2])
}

/// `rows` of `width` RGB pixels as one sequence.
pub fn encode(width: usize, rows: &[Vec<u8>]) -> String {
    let indexed: Vec<Vec<u8>> = rows
        .iter()
        .enumerate()
        .map(|(y, row)| {
            row.chunks_exact(3).enumerate().map(|(x, rgb)| register(rgb, x, y)).collect()
        })
        .collect();
    let mut used = [false; 256];
    indexed.iter().flatten().for_each(|&register| used[usize::from(register)] = true);
    // One to one pixels; those that are not set stay as they are.
    let mut out = format!("\x1bP0;1;0q\"1;1;{width};{}", rows.len());
    for (register, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        let steps = usize::from(STEPS);
        let percent = |step: usize| step * 100 / (steps - 1);
        let (r, g, b) = (register / steps / steps, register / steps % steps, register % steps);
        // Writing into a string cannot fail.
        let _ = write!(out, "#{register};2;{};{};{}", percent(r), percent(g), percent(b));
    }
    for band in indexed.chunks(6) {
        let mut colours: Vec<u8> = band.iter().flatten().copied().collect();
        colours.sort_unstable();
        colours.dedup();
        for (at, &colour) in colours.iter().enumerate() {
            // `$` goes back to the beginning of the band.
            let _ = write!(out, "{}#{colour}", if at == 0 { "" } else { "$" });
            write_band(&mut out, band, colour, width);
        }
        out.push('-');
    }
    out.push_str("\x1b\\");
    out
}

/// One colour's bits of a band, runs of the same written once.
fn write_band(out: &mut String, band: &[Vec<u8>], colour: u8, width: usize) {
    let sixel = |x: usize| {
        let bits = band.iter().enumerate().filter(|(_, row)| row.get(x) == Some(&colour));
        char::from(63 + bits.fold(0u8, |bits, (y, _)| bits | 1 << y))
    };
    let mut x = 0;
    while x < width {
        let here = sixel(x);
        let run = (x..width).take_while(|&x| sixel(x) == here).count();
        match run {
            0..4 => out.extend(std::iter::repeat_n(here, run)),
            _ => drop(write!(out, "!{run}{here}")),
        }
        x += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads back what [`encode`] writes: the registers, row by row.
    fn decoded(text: &str, width: usize, height: usize) -> Vec<Vec<u8>> {
        let body = text.strip_prefix("\x1bP0;1;0q").unwrap().strip_suffix("\x1b\\").unwrap();
        let mut image = vec![vec![0; width]; height.div_ceil(6) * 6];
        let (mut band, mut x, mut colour, mut run) = (0, 0, 0u8, 1);
        let mut chars = body.chars().peekable();
        while let Some(c) = chars.next() {
            let mut numbers = || {
                let mut text = String::new();
                while let Some(c) = chars.next_if(|c| c.is_ascii_digit() || *c == ';') {
                    text.push(c);
                }
                text.split(';').map(|n| n.parse::<usize>().unwrap()).collect::<Vec<_>>()
            };
            match c {
                '"' => assert_eq!(numbers()[2..], [width, height]),
                '#' => colour = numbers()[0] as u8,
                '!' => run = numbers()[0],
                '$' => x = 0,
                '-' => (band, x) = (band + 1, 0),
                bits => {
                    for y in (0..6).filter(|y| (bits as u8 - 63) >> y & 1 == 1) {
                        image[6 * band + y][x..x + run].fill(colour);
                    }
                    (x, run) = (x + run, 1);
                }
            }
        }
        image.truncate(height);
        image
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let (width, height) = (20, 14);
        let pixel =
            |x: usize, y: usize| [(x * 13) as u8, (y * 18) as u8, if x < 9 { 255 } else { 0 }];
        let rows: Vec<Vec<u8>> =
            (0..height).map(|y| (0..width).flat_map(|x| pixel(x, y)).collect()).collect();
        let wanted: Vec<Vec<u8>> = (0..height)
            .map(|y| (0..width).map(|x| register(&pixel(x, y), x, y)).collect())
            .collect();
        assert_eq!(decoded(&encode(width, &rows), width, height), wanted);
    }

    #[test]
    fn dithering_keeps_the_ends_and_the_mean() {
        assert!((0..4).all(|y| (0..4).all(|x| register(&[0; 3], x, y) == 0)));
        assert!((0..4).all(|y| (0..4).all(|x| register(&[255; 3], x, y) == 215)));
        // A grey between two steps is some of each.
        let steps = (0..16).map(|i| u32::from(register(&[128; 3], i % 4, i / 4) % 6)).sum::<u32>();
        let mean = f64::from(steps) / 16.0 * 51.0;
        assert!((mean - 128.0).abs() < 5.0, "{mean}");
    }
}
