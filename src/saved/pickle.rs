//! Arrays for Python programs that read nothing but pickles. Only written: a pickle is a program, and none is ever run
//! here.

use super::Array;

/// Pickle, protocol 3, of `{"model": {name: numpy array, …}, "__author__": …, "matching_heuristics": True}`: what
/// Detectron2's checkpointer takes for a model of other origin, whose names it then matches by their ends.
pub fn numpy_arrays<'a>(arrays: impl IntoIterator<Item = (String, &'a Array)>) -> Vec<u8> {
    let mut out = Pickle(vec![0x80, 3]);
    out.dict(|out| {
        out.text("model");
        out.dict(|out| {
            for (name, array) in arrays {
                out.text(&name);
                out.array(array);
            }
        });
        out.text("__author__");
        out.text("instdisc-lab");
        out.text("matching_heuristics");
        out.op(b"\x88");
    });
    out.op(b".");
    out.0
}

/// Opcodes one after another (Python's pickletools.py).
struct Pickle(Vec<u8>);

impl Pickle {
    fn op(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Keys and values in turn.
    fn dict(&mut self, items: impl FnOnce(&mut Self)) {
        self.op(b"}(");
        items(self);
        self.op(b"u");
    }

    fn tuple(&mut self, items: impl FnOnce(&mut Self)) {
        self.op(b"(");
        items(self);
        self.op(b"t");
    }

    fn text(&mut self, text: &str) {
        self.op(b"X");
        self.op(&(text.len() as u32).to_le_bytes());
        self.op(text.as_bytes());
    }

    /// Below 2³².
    fn bytes(&mut self, bytes: &[u8]) {
        self.op(b"B");
        self.op(&(bytes.len() as u32).to_le_bytes());
        self.op(bytes);
    }

    fn int(&mut self, n: i32) {
        self.op(b"J");
        self.op(&n.to_le_bytes());
    }

    /// As `numpy.ndarray.__reduce__` takes itself apart: an empty array, and its state.
    fn array(&mut self, array: &Array) {
        self.op(b"cnumpy.core.multiarray\n_reconstruct\n");
        self.tuple(|out| {
            out.op(b"cnumpy\nndarray\n");
            out.tuple(|out| out.int(0));
            out.bytes(b"b");
        });
        self.op(b"R");
        self.tuple(|out| {
            out.int(1);
            out.tuple(|out| array.shape.iter().for_each(|&n| out.int(n as i32)));
            out.little_endian_floats();
            // Not in Fortran's order.
            out.op(b"\x89");
            out.bytes(&array.bytes());
        });
        self.op(b"b");
    }

    /// `numpy.dtype('<f4')`.
    fn little_endian_floats(&mut self) {
        self.op(b"cnumpy\ndtype\n");
        self.tuple(|out| {
            out.text("f4");
            out.op(b"\x89\x88");
        });
        self.op(b"R");
        self.tuple(|out| {
            out.int(3);
            out.text("<");
            out.op(b"NNN");
            out.int(-1);
            out.int(-1);
            out.int(0);
        });
        self.op(b"b");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3.11 and NumPy 2.4 read this file back as
    /// `{'model': {'w': array([[1., 2., 3.], [4., 5., 6.]], dtype=float32)}, '__author__': 'instdisc-lab',
    /// 'matching_heuristics': True}`; the digest is of that file.
    #[test]
    fn the_file_is_the_one_that_numpy_read() {
        use sha2::{Digest, Sha256};
        let array = Array { shape: vec![2, 3], numbers: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let file = numpy_arrays([("w".to_owned(), &array)]);
        let digest = crate::files::hex(&Sha256::digest(&file));
        assert_eq!(digest, "4174f546fd47708ad372af4d81df5e4500aefdb40c2e87066a8c240b561f8734");
    }
}
