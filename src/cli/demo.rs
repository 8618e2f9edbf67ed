//! `--demo`: a lab of recorded runs in a temporary home, gone when the screens are left.

use std::io;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};

use crate::journal::writer::system_clock;
use crate::lab::Home;
use crate::queue::rebuild;

/// Real runs, packed by `scripts/demo.py`.
static RECORDED: &[u8] = include_bytes!("../../assets/demo.tar.gz");

/// The temporary home; dropped, it takes its folder along.
pub struct Demo {
    home: Home,
}

impl Demo {
    /// Unpacks the runs and takes them into a run log of their own.
    pub async fn open() -> Result<Self> {
        let root = std::env::temp_dir().join(format!("instdisc-lab-demo-{}", std::process::id()));
        let demo = Self { home: Home::new(&root) };
        unpack(&root)
            .wrap_err_with(|| format!("cannot unpack the demo into {}", root.display()))?;
        rebuild(&demo.home, &system_clock()).await?;
        Ok(demo)
    }

    pub fn home(&self) -> &Home {
        &self.home
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Best effort: it is a temporary folder.
        drop(std::fs::remove_dir_all(self.home.root()));
    }
}

fn unpack(root: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    tar::Archive::new(flate2::read::GzDecoder::new(RECORDED)).unpack(root)?;
    // Nothing is trained in a demo unless a worker is asked for.
    std::fs::write(root.join("lab.toml"), "[workers.slots]\ncpu = 0\n")
}
