//! Homes on disks that are full, or no disk of this machine's own.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use instdisc_lab::store::State;

use crate::cluster::Cluster;
use crate::support::{Lab, wait_for};

/// A file system of its own, gone with the test.
struct Mount(tempfile::TempDir);

impl Mount {
    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Of this many MB.
    fn small(megabytes: u32) -> Self {
        let dir = tempfile::Builder::new().prefix("instdisc-disk-").tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }

    /// What FUSE makes of a folder: to a program a disk like one of another machine's. None where there is no FUSE.
    fn fuse(folder: &Path) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("instdisc-disk-").tempdir().unwrap();
        let mounted = Command::new("bindfs").arg(folder).arg(dir.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Puts the home of `lab` there.
fn settle(lab: &Lab, place: &Path) {
    let (home, settings) = (lab.home(), fs::read_to_string(lab.home().settings()).unwrap());
    fs::remove_dir_all(home.root()).unwrap();
    std::os::unix::fs::symlink(place, home.root()).unwrap();
    fs::write(home.settings(), settings).unwrap();
}

/// Puts its run log on a disk of this machine's own.
fn keep_apart(lab: &Lab) {
    let mut settings = fs::read_to_string(lab.home().settings()).unwrap();
    settings.push_str(&format!("[store]\npath = \"{}/lab.db\"\n", lab.path().display()));
    fs::write(lab.home().settings(), settings).unwrap();
}

/// Takes what room there is.
fn fill(ballast: &mut File) {
    for piece in [1 << 16, 1 << 12, 1 << 6, 1] {
        while ballast.write_all(&vec![0; piece]).is_ok() {}
    }
}

/// Neither the trainer nor its job can say so: nothing that either writes finds room.
#[test]
fn a_shared_disk_that_fills_up_fails_a_run_by_name_and_costs_nothing() {
    let cluster = Cluster::start();
    let disk = Mount::small(24);
    let unbroken = Lab::new().with_real_trainer();
    let lab = cluster.lab().with_real_trainer();
    settle(&lab, disk.path());
    keep_apart(&lab);
    let more = ["--set", "train.epochs=60"];
    let file = lab.experiment("filled", &[10.0]);
    let run = lab.queue(&file, &more).remove(0);
    let same = unbroken.experiment("filled", &[10.0]);
    unbroken.queue(&same, &[more[0], more[1], "--launcher", "local"]);
    wait_for("some steps", || 2 < lab.run(&run).progress.step);

    let ballast = disk.path().join("ballast");
    let mut filled = File::create(&ballast).unwrap();
    wait_for("the run to fail", || {
        fill(&mut filled);
        lab.run(&run).state == State::Failed
    });
    let row = lab.run(&run);
    assert!(row.reason.as_ref().is_some_and(|why| why.starts_with("disk full: ")), "{row:?}");
    assert_eq!(row.attempt, 1, "it was not started again into the same");
    fill(&mut filled);
    let refused = lab.output(&["queue", file.to_str().unwrap(), "--again"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("takes nothing: No space left on device"), "{said}");

    fs::remove_file(&ballast).unwrap();
    drop(filled);
    lab.ok(&["retry", &run]);
    lab.wait_for_state(&run, State::Finished);
    unbroken.wait_for_state(&run, State::Finished);
    assert_eq!(lab.run(&run).attempt, 2);
    assert_eq!(lab.losses(&run), unbroken.losses(&run));
}

/// As on NFS or Lustre, by the one such file system that needs no second machine.
#[test]
fn a_home_on_a_network_disk_needs_its_run_log_elsewhere() {
    let behind = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::fuse(behind.path()) else {
        println!("left out: bindfs, of Debian, is not here or may not mount");
        return;
    };
    let cluster = Cluster::start();
    let lab = cluster.lab();
    lab.behave("until 20");
    settle(&lab, disk.path());
    let file = lab.experiment("fused", &[0.0, 1.0]);
    let refused = lab.output(&["queue", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("lies on FUSE") && said.contains("store.path"), "{said}");
    assert!(cluster.jobs().is_empty() && !lab.home().database().exists());

    keep_apart(&lab);
    let runs = lab.queue(&file, &[]);
    for run in &runs {
        lab.wait_for_state(run, State::Finished);
        assert_eq!(lab.starts(run).len(), 1);
    }
    assert_eq!(cluster.arrays().len(), 1);
    wait_for("the worker to leave", || lab.processes().is_empty());
}
