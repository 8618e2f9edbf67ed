//! The experiment files in the repository.

use instdisc_lab::config::experiment::{Overrides, parse};
use instdisc_lab::grid::expand;

fn sized(name: &str) -> Overrides {
    Overrides { size: Some(name.to_owned()), ..Overrides::default() }
}

#[test]
fn the_experiments_in_the_repository_read_and_plan() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments");
    let mut n_files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let full = parse(&stem, &text, &Overrides::default()).unwrap();
        assert_eq!(full.name, stem);
        assert!(!full.question.is_empty() && !full.why.is_empty(), "{stem}");
        for size in &full.sizes {
            assert!(!size.why.is_empty(), "{stem} {}", size.name);
            assert!(!expand(&parse(&stem, &text, &sized(&size.name)).unwrap()).unwrap().is_empty());
        }
        n_files += 1;
    }
    assert_eq!(n_files, 24);
}
