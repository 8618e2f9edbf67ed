//! Curves as Parquet, a row a point: what data frames and DuckDB read without being told what is in it.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::store::CurvePoint;

/// `sec` are active seconds. Measurements that are no number keep their NaN.
const SCHEMA: &str = "message points {
    REQUIRED BYTE_ARRAY run (STRING);
    REQUIRED BYTE_ARRAY metric (STRING);
    REQUIRED INT64 step;
    REQUIRED DOUBLE epoch;
    REQUIRED DOUBLE sec;
    REQUIRED DOUBLE value;
}";

/// Every point of a run's `curves`, each under its metric's name, one row group a curve. The run's id stands in each row,
/// so that files of many runs can be read as one table; repeated texts are stored once.
///
/// # Errors
/// A text of 2³¹ bytes or more.
pub fn points(run: &str, curves: &[(String, Vec<CurvePoint>)]) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut out = Vec::new();
    let mut file = SerializedFileWriter::new(&mut out, schema, Arc::new(properties))?;
    for (metric, points) in curves.iter().filter(|(_, points)| !points.is_empty()) {
        let texts = [run, metric].map(|text| vec![ByteArray::from(text); points.len()]);
        let steps: Vec<i64> = points.iter().map(|point| point.step.cast_signed()).collect();
        let numbers = |of: fn(&CurvePoint) -> f64| points.iter().map(of).collect::<Vec<f64>>();
        let numbers = [
            numbers(|point| point.epoch),
            numbers(|point| point.sec),
            numbers(|point| point.value),
        ];
        let (mut texts, mut numbers) = (texts.iter(), numbers.iter());
        let mut group = file.next_row_group()?;
        while let Some(mut column) = group.next_column()? {
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(to) => {
                    to.write_batch(texts.next().map_or(&[], Vec::as_slice), None, None)?;
                }
                ColumnWriter::Int64ColumnWriter(to) => {
                    to.write_batch(&steps, None, None)?;
                }
                ColumnWriter::DoubleColumnWriter(to) => {
                    to.write_batch(numbers.next().map_or(&[], Vec::as_slice), None, None)?;
                }
                // The schema above has no others.
                _ => {}
            }
            column.close()?;
        }
        group.close()?;
    }
    file.close()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn every_point_is_a_row_that_names_its_run_and_metric() {
        let point = |step, value| CurvePoint { step, epoch: 0.5, sec: 2.0, value };
        let curves = [
            ("loss".to_owned(), vec![point(1, 7.25), point(2, f64::NAN)]),
            ("never".to_owned(), Vec::new()),
            ("knn_top1".to_owned(), vec![point(2, 31.0)]),
        ];
        let file = points("one-1a2b", &curves).unwrap();
        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let found: Vec<(String, i64, String)> = rows
            .iter()
            .map(|row| {
                assert_eq!(row.get_string(0).unwrap(), "one-1a2b");
                assert_eq!((row.get_double(3).unwrap(), row.get_double(4).unwrap()), (0.5, 2.0));
                let value = row.get_double(5).unwrap().to_string();
                (row.get_string(1).unwrap().clone(), row.get_long(2).unwrap(), value)
            })
            .collect();
        let expected = [("loss", 1, "7.25"), ("loss", 2, "NaN"), ("knn_top1", 2, "31")];
        let expected = expected.map(|(name, step, value)| (name.into(), step, value.into()));
        assert_eq!(found, expected);
    }
}
