//! The memory bank as files: its rows and labels, and a map of it.

use std::collections::{BTreeMap, HashMap};

use color_eyre::eyre::Result;

use super::{File, What};
use crate::cli::{Context, bad_input};
use crate::config::RunSpec;
use crate::data::{self, Dataset};
use crate::report::figure::{self, Class};
use crate::report::table::{Format, Table};
use crate::saved::{self, Array, POINTS, Saved};
use crate::store::RunRow;

/// The memory bank, and the images that its rows are of.
fn rows(context: &Context, run: &RunRow, saved: &Saved) -> Result<(Array, Dataset)> {
    let bank = saved.bank()?;
    let spec: RunSpec = serde_json::from_str(run.spec.text())?;
    let data = data::load(&spec.data, &context.home).map_err(|e| bad_input(e.to_string()))?;
    let (found, allowed) = (data.train.len(), bank.shape[0]);
    if found != allowed {
        return Err(bad_input(format!(
            "{}: found {found} training images, allowed: {allowed}, the rows of its memory bank",
            run.id
        )));
    }
    Ok((bank, data))
}

/// Rows and labels, for Python with safetensors or with NumPy alone.
pub fn bank(what: What, context: &Context, run: &RunRow, saved: &Saved) -> Result<Vec<File>> {
    let (bank, data) = rows(context, run, saved)?;
    let labels: Vec<i64> = data.train.labels.iter().map(|&label| label.into()).collect();
    let rows: Vec<u8> = bank.numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let label_bytes: Vec<u8> = labels.iter().flat_map(|x| x.to_le_bytes()).collect();
    if what == What::Npy {
        return Ok(vec![
            ("bank.npy".to_owned(), npy("<f4", &bank.shape, rows)),
            ("labels.npy".to_owned(), npy("<i8", &[labels.len()], label_bytes)),
        ]);
    }
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    let views = [
        ("bank", TensorView::new(Dtype::F32, bank.shape.clone(), &rows)?),
        ("labels", TensorView::new(Dtype::I64, vec![labels.len()], &label_bytes)?),
    ];
    let classes = HashMap::from([("classes".to_owned(), data.classes.join("\n"))]);
    Ok(vec![("bank.safetensors".to_owned(), safetensors::serialize(views, Some(classes))?)])
}

/// A map of the bank, drawn and as a table: where each of some training images lies beside the others.
pub fn map(context: &Context, run: &RunRow, saved: &Saved) -> Result<Vec<File>> {
    let (bank, data) = rows(context, run, saved)?;
    let chosen: Vec<u32> = saved::spread(bank.shape[0], POINTS).map(|row| row as u32).collect();
    let places = saved::map(&bank, &chosen).ok_or_else(|| {
        bad_input(format!(
            "{}: found rows that are too few or do not differ, allowed: ten or more",
            run.id
        ))
    })?;
    let name = |label: u16| data.classes.get(usize::from(label)).map_or("no label", String::as_str);
    let mut table = Table::new(["image", "class", "x", "y"]);
    let mut classes: BTreeMap<u16, Class> = BTreeMap::new();
    for (&row, place) in chosen.iter().zip(&places) {
        let label = data.train.labels[row as usize];
        let class = || Class { name: name(label).to_owned(), places: Vec::new() };
        classes.entry(label).or_insert_with(class).places.push(*place);
        table.push([
            row.to_string(),
            name(label).to_owned(),
            place[0].to_string(),
            place[1].to_string(),
        ]);
    }
    let classes: Vec<Class> = classes.into_values().collect();
    let title = format!("{}, step {}, {} images, t-SNE", run.id, saved.step, chosen.len());
    Ok(vec![
        ("map.svg".to_owned(), figure::map(&title, &classes)?.into_bytes()),
        ("map.csv".to_owned(), table.render(Format::Csv).into_bytes()),
    ])
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
