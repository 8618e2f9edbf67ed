//! Files that the screens are asked to write.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file that was not there before, where its name is taken under the next free one; under which.
pub fn write_beside(folder: &Path, file: &str, bytes: &[u8]) -> io::Result<String> {
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "txt"));
    let mut names = (2..).map(|n| format!("{stem}-{n}.{extension}"));
    let mut name = file.to_owned();
    loop {
        match File::create_new(folder.join(&name)) {
            Ok(mut written) => {
                written.write_all(bytes)?;
                return Ok(name);
            }
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                name = names.next().unwrap_or(name);
            }
            Err(why) => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_saved_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = "demo-knn_top1.last.tex";
        let save = |text: &str| write_beside(dir.path(), file, text.as_bytes()).unwrap();
        let names = [save("one"), save("two"), save("three")];
        let expected =
            ["demo-knn_top1.last.tex", "demo-knn_top1.last-2.tex", "demo-knn_top1.last-3.tex"];
        assert_eq!(names, expected);
        let texts = expected.map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap());
        assert_eq!(texts, ["one", "two", "three"]);
        assert!(write_beside(&dir.path().join("gone"), "a.csv", b"").is_err());
    }
}
