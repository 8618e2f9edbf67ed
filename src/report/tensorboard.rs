//! Curves as a TensorBoard event file.
//!
//! A file is a row of records, each `length (u64), masked crc32c of it, bytes, masked crc32c of them`, and the bytes are
//! an `Event` message: wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5. A scalar is a
//! summary of one value with tag = 1 and simple_value = 2 (float). Those few fields are written by hand, because the
//! protocol's crates bring a compiler for all the others.

/// One measurement; `at` in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar<'a> {
    pub tag: &'a str,
    pub step: u64,
    pub at: f64,
    pub value: f64,
}

/// The file, from its first byte on. `at` dates its first record. Values are rounded to fp32, which is what the format
/// holds.
pub fn events<'a>(at: f64, scalars: impl IntoIterator<Item = Scalar<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut first = Message::default();
    first.double(1, at).bytes(3, b"brain.Event:2");
    record(&mut out, &first.0);
    for scalar in scalars {
        let mut value = Message::default();
        value.bytes(1, scalar.tag.as_bytes()).float(2, scalar.value as f32);
        let mut summary = Message::default();
        summary.bytes(1, &value.0);
        let mut event = Message::default();
        event.double(1, scalar.at).varint(2, scalar.step).bytes(5, &summary.0);
        record(&mut out, &event.0);
    }
    out
}

fn record(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(bytes);
    out.extend(masked(bytes).to_le_bytes());
}

/// The checksum as the format stores it, so that a checksum of checksums is no fixed point.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Fields of a protocol-buffer message, in the order they are given.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, kind: u64) {
        self.raw(field << 3 | kind);
    }

    fn raw(&mut self, mut x: u64) {
        while 0x80 <= x {
            self.0.push(x as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    fn varint(&mut self, field: u64, x: u64) -> &mut Self {
        self.key(field, 0);
        self.raw(x);
        self
    }

    fn double(&mut self, field: u64, x: f64) -> &mut Self {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.key(field, 2);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn float(&mut self, field: u64, x: f32) -> &mut Self {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_tensorboards_own_writer() {
        let scalars = [
            Scalar { tag: "loss/instance", step: 3, at: 1000.5, value: 2.25 },
            Scalar { tag: "knn_top1", step: 300, at: 1001.0, value: f64::NAN },
        ];
        let expected: &[u8] = include_bytes!("../../assets/fixtures/tensorboard/events.bin");
        assert_eq!(events(1000.0, scalars), expected);
    }
}
