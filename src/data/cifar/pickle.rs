//! Reads the one kind of pickle that the Python versions of CIFAR-10 and CIFAR-100 are made of, and no other.
//!
//! A pickle is a program. This machine knows the opcodes that build numbers, strings, lists, tuples and dictionaries, and
//! the three names that NumPy writes for an array of bytes. It calls nothing, allocates no more than a small multiple of
//! the file, and refuses everything else.

use std::borrow::Cow;

/// The pixels and labels of one batch file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    /// (labels.len(), 3072): red, green and blue plane of each image.
    pub data: Cow<'a, [u8]>,
    pub labels: Vec<u8>,
}

/// What is wrong with a batch file, in words.
pub(super) type Complaint = String;

#[derive(Clone, Debug, PartialEq)]
enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Tuple(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// One of [`NAMES`].
    Name(usize),
    /// A name applied to arguments: an array or its element type, before and after its state is set.
    Object {
        name: usize,
        arguments: Vec<Value<'a>>,
        state: Vec<Value<'a>>,
    },
    Mark,
}

/// Everything that may be named. NumPy 2 moved the first one.
const NAMES: [&[u8]; 4] = [
    b"numpy.core.multiarray\n_reconstruct",
    b"numpy._core.multiarray\n_reconstruct",
    b"numpy\nndarray",
    b"numpy\ndtype",
];

/// Bytes in an image.
const IMAGE: usize = 3072;

/// Reads a batch file of the Python version: pixels, and the labels under `key`, each below `n_classes`.
pub(super) fn batch<'a>(file: &'a [u8], key: &str, n_classes: u8) -> Result<Batch<'a>, Complaint> {
    let Value::Dict(entries) = Machine::new(file).run()? else {
        return Err("a pickle that is no dictionary".to_owned());
    };
    let entry = |key: &str| {
        let is_key = |(k, _): &&(Value, Value)| *k == Value::Bytes(key.as_bytes());
        entries.iter().find(is_key).map(|(_, v)| v).ok_or_else(|| format!("no entry `{key}`"))
    };
    let Value::List(labels) = entry(key)? else {
        return Err("labels that are no list".to_owned());
    };
    let label = |value: &Value| match value {
        Value::Int(label) if (0..i64::from(n_classes)).contains(label) => Ok(*label as u8),
        other => Err(format!("a label {other:?}")),
    };
    let labels = labels.iter().map(label).collect::<Result<Vec<u8>, _>>()?;
    let (data, by_columns) = array(entry("data")?)?;
    if data.len() != labels.len() * IMAGE {
        return Err(format!("{} bytes of pixels for {} labels", data.len(), labels.len()));
    }
    let data = match by_columns {
        false => Cow::Borrowed(data),
        true => (0..data.len()).map(|i| data[i % IMAGE * labels.len() + i / IMAGE]).collect(),
    };
    Ok(Batch { data, labels })
}

/// The bytes of an array of (n, 3072) u8, and whether they go by columns (Fortran order).
fn array<'a>(value: &Value<'a>) -> Result<(&'a [u8], bool), Complaint> {
    let complaint = || "pixels that are no array of bytes".to_owned();
    let Value::Object { name: 0 | 1, state, .. } = value else { return Err(complaint()) };
    // (version, shape, element type, Fortran order?, bytes)
    let [Value::Int(_), Value::Tuple(shape), dtype, Value::Bool(by_columns), Value::Bytes(bytes)] =
        &state[..]
    else {
        return Err(complaint());
    };
    let Value::Object { name: 3, arguments, .. } = dtype else { return Err(complaint()) };
    let [_, Value::Int(IMAGE_WIDTH)] = shape[..] else { return Err(complaint()) };
    if arguments.first() != Some(&Value::Bytes(b"u1")) {
        return Err(complaint());
    }
    Ok((bytes, *by_columns))
}

const IMAGE_WIDTH: i64 = IMAGE as i64;

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value<'a>>,
    /// What may be recalled. Lists, dictionaries and objects are remembered as `None`: these files never recall one,
    /// and a copy would not follow later changes.
    memo: Vec<(usize, Value<'a>)>,
}

impl<'a> Machine<'a> {
    fn new(file: &'a [u8]) -> Self {
        Self { rest: file, stack: Vec::new(), memo: Vec::new() }
    }

    fn run(mut self) -> Result<Value<'a>, Complaint> {
        loop {
            match self.byte()? {
                // PROTO
                0x80 => {
                    if 2 < self.byte()? {
                        return Err("a pickle of a protocol above 2".to_owned());
                    }
                }
                b'.' => return self.pop(),
                b'(' => self.stack.push(Value::Mark),
                b'N' => self.stack.push(Value::None),
                // NEWTRUE, NEWFALSE
                code @ (0x88 | 0x89) => self.stack.push(Value::Bool(code == 0x88)),
                b'K' => {
                    let value = self.number(1)?;
                    self.stack.push(Value::Int(value));
                }
                b'M' => {
                    let value = self.number(2)?;
                    self.stack.push(Value::Int(value));
                }
                b'J' => {
                    let value = self.number(4)? as u32 as i32;
                    self.stack.push(Value::Int(value.into()));
                }
                // SHORT_BINSTRING, BINSTRING, BINUNICODE
                b'U' => self.string(1)?,
                b'T' | b'X' => self.string(4)?,
                b'c' => self.name()?,
                b'}' => self.stack.push(Value::Dict(Vec::new())),
                b']' => self.stack.push(Value::List(Vec::new())),
                b')' => self.stack.push(Value::Tuple(Vec::new())),
                // TUPLE1, TUPLE2, TUPLE3
                code @ 0x85..=0x87 => {
                    let n = usize::from(code - 0x84);
                    let at = self.stack.len().checked_sub(n).ok_or_else(underflow)?;
                    let items = self.stack.split_off(at);
                    self.stack.push(Value::Tuple(items));
                }
                b't' => {
                    let items = self.since_mark()?;
                    self.stack.push(Value::Tuple(items));
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.append(items)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set(items)?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set(vec![key, value])?;
                }
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                b'q' => self.remember(1)?,
                b'r' => self.remember(4)?,
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                other => {
                    return Err(format!("a pickle with opcode {other:#04x}, which CIFAR has not"));
                }
            }
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Complaint> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or("a file that ends too early")?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Complaint> {
        Ok(self.take(1)?[0])
    }

    /// Little-endian, unsigned.
    fn number(&mut self, bytes: usize) -> Result<i64, Complaint> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |n, &byte| n << 8 | i64::from(byte)))
    }

    fn string(&mut self, bytes: usize) -> Result<(), Complaint> {
        let n = self.number(bytes)?;
        let text = self.take(n as usize)?;
        self.stack.push(Value::Bytes(text));
        Ok(())
    }

    fn name(&mut self) -> Result<(), Complaint> {
        let known = NAMES.iter().position(|name| {
            self.rest.strip_prefix(*name).is_some_and(|rest| rest.first() == Some(&b'\n'))
        });
        let index = known.ok_or_else(|| {
            let lines: Vec<_> = self.rest.splitn(3, |&b| b == b'\n').take(2).collect();
            let name = String::from_utf8_lossy(&lines.join(&b'.')).into_owned();
            format!("a pickle that asks for `{}`", name.chars().take(60).collect::<String>())
        })?;
        self.take(NAMES[index].len() + 1)?;
        self.stack.push(Value::Name(index));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, Complaint> {
        self.stack.pop().ok_or_else(underflow)
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, Complaint> {
        let mark =
            self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or_else(underflow)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), Complaint> {
        let Some(Value::List(list)) = self.stack.last_mut() else { return Err(underflow()) };
        list.extend(items);
        Ok(())
    }

    fn set(&mut self, items: Vec<Value<'a>>) -> Result<(), Complaint> {
        let Some(Value::Dict(entries)) = self.stack.last_mut() else { return Err(underflow()) };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Complaint> {
        let (arguments, name) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Name(name)) = (arguments, name) else {
            return Err("a pickle that calls something".to_owned());
        };
        self.stack.push(Value::Object { name, arguments, state: Vec::new() });
        Ok(())
    }

    fn build(&mut self) -> Result<(), Complaint> {
        let given = self.pop()?;
        let (Value::Tuple(given), Some(Value::Object { state, .. })) =
            (given, self.stack.last_mut())
        else {
            return Err(underflow());
        };
        *state = given;
        Ok(())
    }

    fn remember(&mut self, bytes: usize) -> Result<(), Complaint> {
        let slot = self.number(bytes)? as usize;
        let kept = match self.stack.last().ok_or_else(underflow)? {
            simple @ (Value::Int(_) | Value::Bytes(_) | Value::Name(_) | Value::Bool(_)) => {
                simple.clone()
            }
            _ => Value::None,
        };
        self.memo.push((slot, kept));
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), Complaint> {
        let slot = self.number(bytes)? as usize;
        // Pickles number their slots upwards, so the newest first.
        let found = self.memo.iter().rev().find(|(s, _)| *s == slot);
        let value = found.map(|(_, value)| value.clone()).ok_or_else(underflow)?;
        self.stack.push(value);
        Ok(())
    }
}

fn underflow() -> Complaint {
    "a pickle that does not add up".to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A batch file as Python 2 wrote it (protocol 2, cPickle), for any number of images. CIFAR-100 has a second list.
    pub fn write(data: &[u8], lists: &[(&str, &[u8])]) -> Vec<u8> {
        let labels = lists[0].1;
        let mut out =
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03".to_vec();
        for (name, labels) in lists {
            out.extend([b'U', name.len() as u8]);
            out.extend(name.as_bytes());
            out.extend(b"q\x04]q\x05(");
            out.extend(labels.iter().flat_map(|&label| [b'K', label]));
            out.push(b'e');
        }
        out.extend(
            b"U\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08",
        );
        out.extend(b"K\x00\x85q\tU\x01bq\n\x87q\x0bRq\x0c(K\x01M");
        out.extend((labels.len() as u16).to_le_bytes());
        out.extend(b"M\x00\x0c\x86q\rcnumpy\ndtype\nq\x0eU\x02u1q\x0fK\x00K\x01\x87q\x10Rq\x11(K\x03U\x01|");
        out.extend(b"q\x12NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x13b\x89T");
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        out.extend(b"q\x14tq\x15bU\tfilenamesq\x16]q\x17(");
        for i in 0..labels.len() {
            let name = format!("leptodactylus_pentadactylus_s_{i:06}.png");
            out.extend([b'U', name.len() as u8]);
            out.extend(name.as_bytes());
            out.extend([b'r', 0x18, i as u8, 0, 0]);
        }
        out.extend(b"eu.");
        out
    }

    fn read(file: &[u8]) -> Result<Batch<'_>, Complaint> {
        batch(file, "labels", 10)
    }

    #[test]
    fn the_list_is_found_by_its_key_and_its_labels_are_classes() {
        let lists: [(&str, &[u8]); 2] = [("fine_labels", &[99]), ("coarse_labels", &[19])];
        let file = write(&vec![7; IMAGE], &lists);
        assert_eq!(batch(&file, "fine_labels", 100).unwrap().labels, [99]);
        assert_eq!(batch(&file, "fine_labels", 99).unwrap_err(), "a label Int(99)");
        assert_eq!(batch(&file, "labels", 10).unwrap_err(), "no entry `labels`");
    }

    #[test]
    fn a_batch_file_reads_back() {
        let data: Vec<u8> = (0..2 * IMAGE).map(|i| (i % 251) as u8).collect();
        let file = write(&data, &[("labels", &[3, 9])]);
        assert_eq!(read(&file).unwrap(), Batch { data: Cow::Borrowed(&data), labels: vec![3, 9] });
    }

    #[test]
    fn pixels_by_columns_are_turned() {
        let rows: Vec<u8> = (0..2 * IMAGE).map(|i| (i % 251) as u8).collect();
        let columns: Vec<u8> = (0..2 * IMAGE).map(|i| rows[i % 2 * IMAGE + i / 2]).collect();
        let mut file = write(&columns, &[("labels", &[0, 1])]);
        let flag = file.windows(3).position(|w| w == b"b\x89T").unwrap() + 1;
        file[flag] = 0x88;
        assert_eq!(read(&file).unwrap().data, rows);
    }

    #[test]
    fn a_pickle_that_would_run_something_is_refused_by_name() {
        let complaint =
            read(b"\x80\x02cos\nsystem\nq\x00U\x02lsq\x01\x85q\x02Rq\x03.").unwrap_err();
        assert_eq!(complaint, "a pickle that asks for `os.system`");
        let complaint = read(b"\x80\x04\x95").unwrap_err();
        assert_eq!(complaint, "a pickle of a protocol above 2");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = write(&vec![7; IMAGE], &[("labels", &[1])]);
        for n in (0..200).chain(IMAGE..file.len()) {
            assert!(read(&file[..n]).is_err(), "{n} of {} bytes", file.len());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(file in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&file);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0usize..400, value in any::<u8>()) {
            let mut file = write(&vec![0; IMAGE], &[("labels", &[1])]);
            let n = file.len();
            // Around the payload, where the structure is.
            let at = if at < 250 { at } else { n - 1 - (at - 250) % 60 };
            file[at] = value;
            if let Ok(batch) = read(&file) {
                prop_assert_eq!(batch.data.len(), batch.labels.len() * IMAGE);
            }
        }
    }
}
