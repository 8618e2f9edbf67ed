//! What publishers put up: one file or several, each known by its md5, some of them archives.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use md5::{Digest, Md5};

use super::DataError;
use crate::files::hex;

/// A file that `data fetch` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    pub file: &'static str,
    /// Its address without its name.
    pub base: &'static str,
    /// As the publisher gives it, or as torchvision and the metric-learning loaders check it.
    pub md5: &'static str,
    /// About how many, for people.
    pub megabytes: u32,
}

impl Remote {
    pub fn url(&self) -> String {
        format!("{}{}", self.base, self.file)
    }
}

/// The md5 of a file and its length in bytes.
pub(super) fn md5_of(path: &Path) -> Result<(String, u64), DataError> {
    let mut file = File::open(path).map_err(DataError::read(path))?;
    let mut hash = Md5::new();
    let mut length = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(DataError::read(path))?;
        if n == 0 {
            return Ok((hex(&hash.finalize()), length));
        }
        hash.update(&buffer[..n]);
        length += n as u64;
    }
}

/// Is this the file that its authors published?
pub(super) fn check(path: &Path, remote: &Remote, dataset: &str) -> Result<(), DataError> {
    let (md5, bytes) = md5_of(path)?;
    if md5 == remote.md5 {
        return Ok(());
    }
    let found = format!("md5 {md5} in {bytes} bytes");
    let cure = format!("remove it and get it again with `instdisc-lab data fetch {dataset}`");
    Err(DataError::malformed(path, found, format!("md5 {}; {cure}", remote.md5)))
}

/// The bytes of a file that belongs to an unpacked data set; `what` it is one of, for the message where it is missing.
pub(super) fn part(path: &Path, what: &str) -> Result<Vec<u8>, DataError> {
    if !path.is_file() {
        let (path, expected) = (path.to_owned(), what.to_owned());
        let cure = "unpack the archive again".to_owned();
        return Err(DataError::Missing { path, expected, cure });
    }
    fs::read(path).map_err(DataError::read(path))
}

/// The same as text.
pub(super) fn text(path: &Path, what: &str) -> Result<String, DataError> {
    String::from_utf8(part(path, what)?)
        .map_err(|_| DataError::malformed(path, "bytes that are no UTF-8", "text"))
}

/// The bytes of the members `wanted` of a `.tar.gz`, in that order.
pub(super) fn members(path: &Path, wanted: &[PathBuf]) -> Result<Vec<Vec<u8>>, DataError> {
    let read_error = || DataError::read(path);
    let mut found: Vec<Option<Vec<u8>>> = vec![None; wanted.len()];
    let file = File::open(path).map_err(read_error())?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    for entry in archive.entries().map_err(read_error())? {
        let mut entry = entry.map_err(read_error())?;
        let name = entry.path().map_err(read_error())?.into_owned();
        let Some(position) = wanted.iter().position(|wanted| *wanted == name) else { continue };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(read_error())?;
        found[position] = Some(bytes);
    }
    let bytes = found.into_iter().zip(wanted).map(|(bytes, name)| {
        bytes.ok_or_else(|| {
            let found = format!("no {}", name.display());
            DataError::malformed(path, found, "the authors' archive")
        })
    });
    bytes.collect()
}

/// Unpacks a `.tar.gz` beside itself. Members that would land outside of that folder are left out by `tar`; what is
/// half-written after an interruption is written again by the next call.
///
/// # Errors
/// No gzip or tar file, or the disk refuses.
pub fn unpack(path: &Path) -> Result<(), DataError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = File::open(path).map_err(DataError::read(path))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    archive.set_preserve_permissions(false);
    archive.unpack(folder).map_err(DataError::write(folder))
}

/// A file's bytes, through gzip where its name ends in `.gz`.
pub(super) fn maybe_gzipped(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = fs::read(path).map_err(DataError::read(path))?;
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    match GzDecoder::new(&bytes[..]).read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(DataError::malformed(path, "a gzip file that ends too early", "a whole one"))
        }
        Err(error) => Err(DataError::malformed(path, format!("no gzip file ({error})"), "one")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A member as a hostile archive would name it: `tar::Builder` refuses such paths, the format does not.
    fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let padding = vec![0; bytes.len().next_multiple_of(512) - bytes.len()];
        [header.as_bytes(), bytes, &padding].concat()
    }

    #[test]
    fn an_archive_unpacks_beside_itself_and_never_outside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("set");
        fs::create_dir(&folder).unwrap();
        let members = [member("a/b.txt", b"inside"), member("../outside.txt", b"evil")].concat();
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&[&members[..], &[0; 1024]].concat()).unwrap();
        let path = folder.join("set.tgz");
        fs::write(&path, gz.finish().unwrap()).unwrap();
        unpack(&path).unwrap();
        assert_eq!(fs::read(folder.join("a/b.txt")).unwrap(), b"inside");
        assert!(!dir.path().join("outside.txt").exists());
        // Once more over what is there, as after an interruption.
        fs::write(folder.join("a/b.txt"), "half").unwrap();
        unpack(&path).unwrap();
        assert_eq!(fs::read(folder.join("a/b.txt")).unwrap(), b"inside");
        fs::write(&path, b"certainly no gzip file").unwrap();
        assert!(unpack(&path).is_err());
    }
}
