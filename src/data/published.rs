//! What can be had of each data set, and what of it is here: for `data ls` and `data fetch`, and for whoever queues runs.

use std::path::{Path, PathBuf};

use super::archive::{self, Remote};
use super::files::{cars, cub, sop};
use super::{DataError, cifar, fetch, idx, stl10};
use crate::config::spec::{DataSpec, DatasetKind};
use crate::lab::Home;

/// Every data set, as `data ls` lists them.
pub const ALL: [DatasetKind; 11] = [
    DatasetKind::Shapes,
    DatasetKind::Cifar10,
    DatasetKind::Cifar100,
    DatasetKind::Stl10,
    DatasetKind::Mnist,
    DatasetKind::FashionMnist,
    DatasetKind::Kmnist,
    DatasetKind::Cub200,
    DatasetKind::Cars196,
    DatasetKind::Sop,
    DatasetKind::Folder,
];

/// How much of a data set is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    BuiltIn,
    /// Ready to be read, from this place.
    Found(PathBuf),
    /// Its archive is here but has to be unpacked.
    Packed(PathBuf),
    Missing,
}

/// What becomes of a fetched file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is read as it is.
    Nothing,
    /// Unpacked beside itself by `data fetch`.
    Unpack,
    /// Unpacked by its owner: a zip file.
    Unzip,
}

/// How many images there are, and of what size.
pub fn images(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Shapes => "10,000 + 2,000, 32×32",
        DatasetKind::Cifar10 | DatasetKind::Cifar100 => "50,000 + 10,000, 32×32",
        DatasetKind::Stl10 => "5,000 (+ 100,000 unlabelled) + 8,000, 96×96",
        DatasetKind::Mnist | DatasetKind::FashionMnist | DatasetKind::Kmnist => {
            "60,000 + 10,000, 28×28 grey"
        }
        DatasetKind::Cub200 => "5,864 + 5,924 of other classes",
        DatasetKind::Cars196 => "8,054 + 8,131 of other classes",
        DatasetKind::Sop => "59,551 + 60,502 of other classes",
        DatasetKind::Folder => "as found",
    }
}

/// What [`images`] says, for programs: how many train a run that asks for all of them, how many test it, and the side that they
/// are published at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub train: Option<u32>,
    pub test: Option<u32>,
    pub side: Option<u32>,
}

pub fn extent(kind: DatasetKind) -> Extent {
    let (train, test, side) = match kind {
        DatasetKind::Shapes => (10_000, 2_000, Some(32)),
        DatasetKind::Cifar10 | DatasetKind::Cifar100 => (50_000, 10_000, Some(32)),
        DatasetKind::Stl10 => (5_000, 8_000, Some(96)),
        DatasetKind::Mnist | DatasetKind::FashionMnist | DatasetKind::Kmnist => {
            (60_000, 10_000, Some(28))
        }
        DatasetKind::Cub200 => (5_864, 5_924, None),
        DatasetKind::Cars196 => (8_054, 8_131, None),
        DatasetKind::Sop => (59_551, 60_502, None),
        DatasetKind::Folder => return Extent::default(),
    };
    Extent { train: Some(train), test: Some(test), side }
}

/// The files that `data fetch` gets; none where there is nothing to get or nowhere to get it from.
pub fn remotes(kind: DatasetKind) -> Vec<Remote> {
    match kind {
        DatasetKind::Cifar10 => vec![cifar::CIFAR10.versions[0].remote],
        DatasetKind::Cifar100 => vec![cifar::CIFAR100.versions[0].remote],
        DatasetKind::Stl10 => vec![stl10::REMOTE],
        DatasetKind::Mnist => idx::MNIST.remotes.to_vec(),
        DatasetKind::FashionMnist => idx::FASHION_MNIST.remotes.to_vec(),
        DatasetKind::Kmnist => idx::KMNIST.remotes.to_vec(),
        DatasetKind::Cub200 => vec![cub::REMOTE],
        DatasetKind::Sop => vec![sop::REMOTE],
        DatasetKind::Shapes | DatasetKind::Cars196 | DatasetKind::Folder => Vec::new(),
    }
}

/// The Python version of the CIFAR archives, which `data fetch --python` gets.
pub fn python(kind: DatasetKind) -> Option<Remote> {
    match kind {
        DatasetKind::Cifar10 => Some(cifar::CIFAR10.versions[1].remote),
        DatasetKind::Cifar100 => Some(cifar::CIFAR100.versions[1].remote),
        _ => None,
    }
}

/// What has to be done with a fetched file before it can be read.
fn then(kind: DatasetKind) -> Then {
    match kind {
        DatasetKind::Stl10 | DatasetKind::Cub200 => Then::Unpack,
        DatasetKind::Sop => Then::Unzip,
        _ => Then::Nothing,
    }
}

/// What is under `root`. Looks at names only; `data verify` reads the files.
pub fn state(kind: DatasetKind, root: &Path) -> State {
    let cifar = |family| cifar::find(family, root).map(|place| place.path);
    let idx = |family| {
        let [first, rest @ ..] = idx::find(family, root);
        first.filter(|_| rest.iter().all(Option::is_some))
    };
    let found = match kind {
        DatasetKind::Shapes => return State::BuiltIn,
        DatasetKind::Cifar10 => cifar(&cifar::CIFAR10),
        DatasetKind::Cifar100 => cifar(&cifar::CIFAR100),
        DatasetKind::Stl10 => stl10::find(root),
        DatasetKind::Mnist => idx(&idx::MNIST),
        DatasetKind::FashionMnist => idx(&idx::FASHION_MNIST),
        DatasetKind::Kmnist => idx(&idx::KMNIST),
        DatasetKind::Cub200 => cub::find(root),
        DatasetKind::Cars196 => cars::find(root).into_iter().next().map(|(path, _)| path),
        DatasetKind::Sop => sop::find(root),
        DatasetKind::Folder => Some(root.to_owned()).filter(|root| root.join("train").is_dir()),
    };
    let packed = remotes(kind).into_iter().map(|remote| root.join(remote.file));
    match found {
        Some(path) => State::Found(path),
        None => match packed.into_iter().find(|path| path.is_file()) {
            Some(path) if then(kind) != Then::Nothing => State::Packed(path),
            _ => State::Missing,
        },
    }
}

/// What makes a packed set readable, in words.
pub fn unpacking(kind: DatasetKind) -> String {
    match then(kind) {
        Then::Unzip => "unzip it there".to_owned(),
        _ => format!("`data fetch {}` unpacks it", super::name(kind)),
    }
}

/// What keeps `spec` from being loaded, as far as names tell, with the cure; nothing where its files are there. `key` says
/// where they lie.
pub fn lacking(spec: &DataSpec, key: &str, home: &Home) -> Option<String> {
    let (name, root) = (super::name(spec.dataset), super::root(spec, home));
    let place = root.display();
    match state(spec.dataset, &root) {
        State::BuiltIn | State::Found(_) => None,
        State::Packed(path) => {
            let (path, cure) = (path.display(), unpacking(spec.dataset));
            Some(format!("{name} is still packed in {path}: {cure}"))
        }
        State::Missing if spec.dataset == DatasetKind::Folder => {
            Some(format!("{key}: found no train/ in {place}, which a folder of images has"))
        }
        State::Missing if remotes(spec.dataset).is_empty() => {
            Some(format!("{name} is not in {place}: set {key}"))
        }
        State::Missing => Some(format!(
            "{name} is not in {place}: `instdisc-lab data fetch {name}` gets it, or set {key}"
        )),
    }
}

/// Bytes of an unfinished download, and where they are.
pub fn unfinished(kind: DatasetKind, root: &Path) -> Option<(u64, PathBuf)> {
    let all = remotes(kind).into_iter().chain(python(kind));
    let parts = all.map(|remote| fetch::part_of(&root.join(remote.file)));
    parts.into_iter().find_map(|part| Some((part.metadata().ok()?.len(), part)))
}

/// Makes a fetched file readable; whether its owner has to unpack it.
///
/// # Errors
/// As [`archive::unpack`].
pub fn settle(kind: DatasetKind, path: &Path) -> Result<Then, DataError> {
    if then(kind) == Then::Unpack {
        archive::unpack(path)?;
    }
    Ok(then(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_sentence() {
        for kind in ALL {
            let said = images(kind).replace(',', "");
            let Extent { train, test, side } = extent(kind);
            for number in [train, test, side].into_iter().flatten() {
                let mut words = said.split(|c: char| !c.is_ascii_digit());
                assert!(words.any(|word| word == number.to_string()), "{said}: {number}");
            }
            assert_eq!(train.is_some(), said != "as found", "{said}");
            assert_eq!(side.is_some(), said.contains('×'), "{said}");
        }
    }
}
