//! Whole lines out of a file that is read in bounded pieces, however large it is and however long its lines are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at a time.
pub(super) const PIECE: usize = 1 << 20;
/// A longer line is no event.
pub(super) const LONGEST: usize = 16 << 20;

/// What stands in a file from some place on.
pub(super) enum Whole {
    /// The buffer's first so many bytes.
    Lines(usize),
    /// One line of so many bytes, not kept.
    TooLong(u64),
    /// The last line has no end yet: so many bytes of it were looked at.
    Torn(u64),
}

/// How much of a line that had no end among its first `unended` bytes has been looked at by now, if it still has none: a
/// line of gigabytes that never ends is not read from its beginning at every look. `None` where it has to be read as any
/// other, also when the file was cut and has grown again.
pub(super) fn still_torn(
    file: &File,
    at: u64,
    unended: u64,
    end: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<u64>> {
    /// A journal that has grown again over the same place has line ends in as much as this.
    const TAIL: u64 = 64 << 10;
    if unended == 0 || end < at + unended {
        return Ok(None);
    }
    let mut looked = unended.saturating_sub(TAIL);
    loop {
        let got = read_at(file, buffer, 0, at + looked, end)?;
        if buffer[..got].contains(&b'\n') {
            return Ok(None);
        }
        if got == 0 {
            return Ok(Some(looked));
        }
        looked += got as u64;
    }
}

/// Fills `buffer` with what stands from `at` on and before `end`, until it holds a whole line. No more of the buffer is touched than there is to read: most looks at a journal find a line or two.
pub(super) fn whole_lines(
    file: &File,
    at: u64,
    end: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Whole> {
    let mut filled = 0;
    while filled <= LONGEST {
        let got = read_at(file, buffer, filled, at + filled as u64, end)?;
        if got == 0 {
            return Ok(Whole::Torn(filled as u64));
        }
        let newline = buffer[filled..filled + got].iter().rposition(|&byte| byte == b'\n');
        if let Some(newline) = newline {
            return Ok(Whole::Lines(filled + newline + 1));
        }
        filled += got;
    }
    let mut read = filled as u64;
    loop {
        let got = read_at(file, buffer, 0, at + read, end)?;
        match buffer[..got].iter().position(|&byte| byte == b'\n') {
            Some(newline) => return Ok(Whole::TooLong(read + newline as u64 + 1)),
            None if got == 0 => return Ok(Whole::Torn(read)),
            None => read += got as u64,
        }
    }
}

/// Reads the next piece before `end` into `buffer` from its byte `begin` on, which grows where it is too short; how much.
fn read_at(
    file: &File,
    buffer: &mut Vec<u8>,
    begin: usize,
    at: u64,
    end: u64,
) -> io::Result<usize> {
    let piece = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE);
    if piece == 0 {
        return Ok(0);
    }
    if buffer.len() < begin + piece {
        buffer.resize(begin + piece, 0);
    }
    loop {
        match file.read_at(&mut buffer[begin..begin + piece], at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
