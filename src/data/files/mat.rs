//! Reads the kind of MATLAB file (level 5, MATLAB 5 to 7.2) that annotations come in: numbers, texts, cells, structures.
//!
//! A file is a header of 128 bytes and a row of elements, each a type, a length and so many bytes; matrices are elements
//! made of elements, compressed ones are zlib streams of one element. Little-endian files only. Every length is checked
//! against the bytes that are there, nesting and inflation are limited, and nothing is allocated on a file's say-so.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// By columns.
    Numbers(Vec<f64>),
    Text(String),
    Cell(Vec<Value>),
    Structs(Structs),
}

/// An array of structures that have the same fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Structs {
    pub fields: Vec<String>,
    /// One row a structure, in the order of `fields`.
    pub rows: Vec<Vec<Value>>,
}

impl Structs {
    /// The field `name` of every structure.
    pub fn column(&self, name: &str) -> Option<impl Iterator<Item = &Value>> {
        let at = self.fields.iter().position(|field| field == name)?;
        Some(self.rows.iter().map(move |row| &row[at]))
    }
}

type Complaint = String;

const HEADER: usize = 128;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Cells in cells.
const DEEPEST: usize = 8;
/// Bytes that one compressed variable may become.
const INFLATED: u64 = 256 << 20;

/// The named variables of a file. Those of other kinds (sparse, objects, functions) are passed over.
pub(super) fn read(file: &[u8]) -> Result<Vec<(String, Value)>, Complaint> {
    let header = file.get(..HEADER).ok_or("a file that ends too early")?;
    match &header[124..] {
        [0, 1, b'I', b'M'] => {}
        [1, 0, b'M', b'I'] => return Err("a big-endian MATLAB file".to_owned()),
        _ if header.starts_with(b"MATLAB 7.3") => return Err("a MATLAB 7.3 (HDF5) file".to_owned()),
        _ => return Err("no MATLAB level 5 file".to_owned()),
    }
    let mut rest = &file[HEADER..];
    let mut variables = Vec::new();
    while !rest.is_empty() {
        let (kind, body) = element(&mut rest)?;
        let inflated;
        let matrix = match kind {
            MATRIX => body,
            COMPRESSED => {
                inflated = inflate(body)?;
                let (kind, body) = element(&mut &inflated[..])?;
                if kind != MATRIX {
                    continue;
                }
                body
            }
            _ => continue,
        };
        let (name, value) = variable(matrix, 0)?;
        variables.extend(value.map(|value| (name, value)));
    }
    Ok(variables)
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, Complaint> {
    let mut bytes = Vec::new();
    let n = ZlibDecoder::new(body).take(INFLATED).read_to_end(&mut bytes);
    match n {
        Ok(n) if n as u64 == INFLATED => Err("a variable of more than 256 MB".to_owned()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("a compressed variable that does not inflate ({error})")),
    }
}

/// Type and bytes of the next element.
fn element<'a>(rest: &mut &'a [u8]) -> Result<(u32, &'a [u8]), Complaint> {
    let early = || "a file that ends too early".to_owned();
    let word = |at: usize| -> Result<u32, Complaint> {
        let bytes = rest.get(at..at + 4).ok_or_else(early)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let kind = word(0)?;
    // Up to four bytes go into the tag itself, their number where a large type would be.
    let (kind, start, length, next): (u32, usize, usize, usize) = match kind >> 16 {
        0 => {
            let length = word(4)? as usize;
            // Compressed elements are the only ones without padding.
            let padded = if kind == COMPRESSED { length } else { length.next_multiple_of(8) };
            (kind, 8, length, 8usize.saturating_add(padded))
        }
        length => (kind & 0xFFFF, 4, length as usize, 8),
    };
    let body = start.checked_add(length).and_then(|end| rest.get(start..end)).ok_or_else(early)?;
    // The last padding may be missing.
    *rest = rest.get(next..).unwrap_or_default();
    Ok((kind, body))
}

/// Name and value of a matrix; no value for the kinds that are not read.
fn variable(mut rest: &[u8], depth: usize) -> Result<(String, Option<Value>), Complaint> {
    if DEEPEST < depth {
        return Err(format!("cells more than {DEEPEST} deep"));
    }
    if rest.is_empty() {
        return Ok((String::new(), Some(Value::Numbers(Vec::new()))));
    }
    let (_, flags) = element(&mut rest)?;
    let class = *flags.first().ok_or("a matrix without flags")?;
    let (kind, dimensions) = element(&mut rest)?;
    let dimensions = numbers(kind, dimensions)?;
    let n = dimensions.iter().try_fold(1usize, |n, &d| n.checked_mul(d as usize));
    let n = n.ok_or("a matrix of impossible dimensions")?;
    let (_, name) = element(&mut rest)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let value = match class {
        1 => Value::Cell(items(&mut rest, n, depth)?),
        2 => Value::Structs(structs(&mut rest, n, depth)?),
        4 => Value::Text(text(&mut rest)?),
        6..=15 => {
            let (kind, body) = element(&mut rest)?;
            let numbers = numbers(kind, body)?;
            if numbers.len() != n {
                return Err(format!("{} numbers in a matrix of {n}", numbers.len()));
            }
            Value::Numbers(numbers)
        }
        _ => return Ok((name, None)),
    };
    Ok((name, Some(value)))
}

/// `n` matrices in a row. A kind that is not read counts as no numbers.
fn items(rest: &mut &[u8], n: usize, depth: usize) -> Result<Vec<Value>, Complaint> {
    let mut items = Vec::new();
    for _ in 0..n {
        let (kind, body) = element(rest)?;
        if kind != MATRIX {
            return Err(format!("an element of type {kind} in a cell"));
        }
        let value = variable(body, depth + 1)?.1;
        items.push(value.unwrap_or(Value::Numbers(Vec::new())));
    }
    Ok(items)
}

fn structs(rest: &mut &[u8], n: usize, depth: usize) -> Result<Structs, Complaint> {
    let (kind, width) = element(rest)?;
    let width = numbers(kind, width)?.first().map_or(0, |&width| width as usize);
    let (_, names) = element(rest)?;
    if width == 0 || !names.len().is_multiple_of(width) {
        return Err("a structure whose field names do not add up".to_owned());
    }
    let name = |field: &[u8]| {
        let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let fields: Vec<String> = names.chunks_exact(width).map(name).collect();
    let mut rows = Vec::new();
    if !fields.is_empty() {
        for _ in 0..n {
            rows.push(items(rest, fields.len(), depth)?);
        }
    }
    Ok(Structs { fields, rows })
}

fn text(rest: &mut &[u8]) -> Result<String, Complaint> {
    // An empty text may have no element at all.
    if rest.is_empty() {
        return Ok(String::new());
    }
    let (kind, body) = element(rest)?;
    Ok(match kind {
        // miUINT16, miUTF16
        4 | 17 => {
            let units = body.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
            String::from_utf16_lossy(&units.collect::<Vec<u16>>())
        }
        _ => String::from_utf8_lossy(body).into_owned(),
    })
}

/// The numbers of an element, whatever type they were packed into.
fn numbers(kind: u32, body: &[u8]) -> Result<Vec<f64>, Complaint> {
    macro_rules! read {
        ($number:ty) => {{
            const SIZE: usize = size_of::<$number>();
            let one = |bytes: &[u8]| {
                let mut own = [0; SIZE];
                own.copy_from_slice(bytes);
                <$number>::from_le_bytes(own) as f64
            };
            body.chunks_exact(SIZE).map(one).collect()
        }};
    }
    Ok(match kind {
        1 => read!(i8),
        2 => read!(u8),
        3 => read!(i16),
        4 => read!(u16),
        5 => read!(i32),
        6 => read!(u32),
        7 => read!(f32),
        9 => read!(f64),
        12 => read!(i64),
        13 => read!(u64),
        other => return Err(format!("numbers of type {other}")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by SciPy (assets/fixtures/data/generate.py) as MATLAB writes it.
    fn fixture(name: &str) -> Vec<u8> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fixtures/data/");
        std::fs::read(format!("{root}{name}")).unwrap()
    }

    fn number(x: f64) -> Value {
        Value::Numbers(vec![x])
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn plain_and_compressed_files_hold_the_same_values() {
        for name in ["kinds.mat", "kinds_compressed.mat"] {
            let variables = read(&fixture(name)).unwrap();
            let of = |name: &str| variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            assert_eq!(of("byte"), Some(number(196.0)));
            assert_eq!(of("negative"), Some(number(-3.0)));
            assert_eq!(of("table"), Some(Value::Numbers(vec![1.0, 3.0, 5.0, 2.5, 4.0, 6.0])));
            assert_eq!(of("word"), Some(text("car_ims/000001.jpg")));
            assert_eq!(of("accented"), Some(text("Citroën")));
            assert_eq!(of("empty"), Some(Value::Numbers(vec![])));
            assert_eq!(of("cell"), Some(Value::Cell(vec![text("AM General"), number(2.0)])));
            let Some(Value::Structs(structs)) = of("annotations") else { panic!("no structures") };
            assert_eq!(structs.fields, ["relative_im_path", "bbox_x1", "class", "test"]);
            assert_eq!(structs.rows.len(), 2);
            assert_eq!(
                structs.column("class").unwrap().collect::<Vec<_>>(),
                [&number(1.0), &number(300.0)]
            );
            assert!(structs.column("nothing").is_none());
        }
    }

    #[test]
    fn other_files_are_named() {
        assert_eq!(read(b"short").unwrap_err(), "a file that ends too early");
        assert_eq!(read(&[b'x'; 200]).unwrap_err(), "no MATLAB level 5 file");
        let mut newer = [b' '; 200];
        newer[..10].copy_from_slice(b"MATLAB 7.3");
        assert_eq!(read(&newer).unwrap_err(), "a MATLAB 7.3 (HDF5) file");
        let mut big_endian = fixture("kinds.mat");
        big_endian[124..128].copy_from_slice(&[1, 0, b'M', b'I']);
        assert_eq!(read(&big_endian).unwrap_err(), "a big-endian MATLAB file");
    }

    #[test]
    fn no_truncation_makes_it_panic() {
        for name in ["kinds.mat", "kinds_compressed.mat"] {
            let file = fixture(name);
            for n in 0..file.len() {
                let _ = read(&file[..n]);
            }
            assert!(read(&file[..file.len() / 2]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(at in 128usize..2000, value in any::<u8>()) {
            let mut file = fixture("kinds.mat");
            let at = at % file.len();
            file[at] = value;
            let _ = read(&file);
        }
    }
}
