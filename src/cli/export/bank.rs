//! The memory bank as files: its rows and labels, and a map of it.

use std::collections::HashMap;

use color_eyre::eyre::Result;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::File;
use super::subject::Subject;
use crate::cli::bad_input;
use crate::data::Dataset;
use crate::report::figure;
use crate::report::raster::Kind;
use crate::report::table::{Format, Table};
use crate::saved::{self, Array, MAP_POINTS, Method};

/// The memory bank, and the images that its rows are of.
fn rows<'a>(subject: &'a Subject) -> Result<(Array, &'a Dataset)> {
    let bank = subject.saved()?.bank()?;
    let data = subject.data()?.map_err(|why| bad_input(why.to_owned()))?;
    let (found, allowed) = (data.train.len(), bank.shape[0]);
    if found != allowed {
        let id = &subject.run.id;
        return Err(bad_input(format!(
            "{id}: found {found} training images, allowed: {allowed}, the rows of its memory bank"
        )));
    }
    Ok((bank, data))
}

/// Labels as 64-bit integers, and how many.
fn labels(data: &Dataset) -> (Vec<u8>, usize) {
    let labels = data.train.labels.iter().map(|&label| i64::from(label));
    (labels.flat_map(i64::to_le_bytes).collect(), data.train.len())
}

pub fn safetensors(subject: &Subject) -> Result<File> {
    let (bank, data) = rows(subject)?;
    let (rows, (labels, n)) = (bank.bytes(), labels(data));
    let views = [
        ("bank", TensorView::new(Dtype::F32, bank.shape.clone(), &rows)?),
        ("labels", TensorView::new(Dtype::I64, vec![n], &labels)?),
    ];
    let classes = HashMap::from([("classes".to_owned(), data.classes.join("\n"))]);
    Ok(("bank.safetensors".to_owned(), safetensors::serialize(views, Some(classes))?))
}

pub fn numpy(subject: &Subject) -> Result<Vec<File>> {
    let (bank, data) = rows(subject)?;
    let (labels, n) = labels(data);
    Ok(vec![
        ("bank.npy".to_owned(), npy("<f4", &bank.shape, bank.bytes())),
        ("labels.npy".to_owned(), npy("<i8", &[n], labels)),
    ])
}

/// A map of the bank, drawn and as a table: where each of some training images lies beside the others.
pub fn map(subject: &Subject, method: Method) -> Result<Vec<File>> {
    let (bank, data) = rows(subject)?;
    let id = &subject.run.id;
    let chosen: Vec<u32> =
        saved::spread_over(bank.shape[0], MAP_POINTS).map(|row| row as u32).collect();
    let plane = saved::map(method, &bank, &chosen).ok_or_else(|| {
        let found = "found rows that are too few or do not differ, allowed: ten or more";
        bad_input(format!("{id}: memory bank: {found}"))
    })?;
    let mut table = Table::new(["image", "class", "x", "y"]);
    for (at, (&row, place)) in chosen.iter().zip(&plane.places).enumerate() {
        let name = data.class(data.train.labels[row as usize]);
        // Along components distances mean something, and are kept.
        let scores = plane.components.as_ref().map(|found| found.scores[at]);
        let [x, y] = scores.unwrap_or_else(|| place.map(f64::from));
        table.push([&row.to_string(), name, &x.to_string(), &y.to_string()]);
    }
    let points = chosen.iter().zip(&plane.places).map(|(&row, place)| {
        let label = data.train.labels[row as usize];
        (label, data.class(label), *place)
    });
    let classes = figure::classes(points);
    let (step, n) = (subject.saved()?.step, chosen.len());
    let title = format!("{id}, step {step}, {n} images, {}", plane.words());
    let svg = figure::map(&title, &classes)?;
    let stem = method.stem();
    let mut files = vec![(format!("{stem}.csv"), table.render(Format::Csv).into_bytes())];
    for kind in Kind::ALL {
        files.push((format!("{stem}.{}", kind.extension()), kind.bytes(&svg)?));
    }
    Ok(files)
}

/// NumPy's format, version 1.0: magic, version, the header's length, a Python dictionary padded to 64 bytes, the data.
fn npy(kind: &str, shape: &[usize], data: Vec<u8>) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.into_bytes());
    out.extend(data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_npy_header_is_padded_to_64_bytes_and_says_what_follows() {
        let file = npy("<f4", &[3, 2], vec![0; 24]);
        assert_eq!(file.len() % 64, 24);
        let header = String::from_utf8_lossy(&file[10..file.len() - 24]).into_owned();
        assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2,), }"));
        assert!(header.ends_with('\n'));
    }
}
