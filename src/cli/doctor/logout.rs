//! Whether what runs here outlives its owner's session: systemd can be told to end everything at logout.

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;

/// Looks below `root` (the machine's own is `/`) for `user`; nothing where systemd does not run.
pub(super) fn look(root: &Path, user: Option<&str>) -> Option<Finding> {
    let what = "logout";
    if !root.join("run/systemd/system").is_dir() {
        return None;
    }
    let lingers = user.is_some_and(|user| root.join("var/lib/systemd/linger").join(user).exists());
    // systemd spares the administrator unless it is told otherwise.
    if !ends_at_logout(root) || lingers || user == Some("root") {
        return Some(Finding::ok(what, "runs go on"));
    }
    let found = "systemd ends every process of a user at logout (KillUserProcesses=yes)";
    Some(Finding::warn(what, found, "loginctl enable-linger, before you log out"))
}

/// As `logind` reads it: of all files, sorted by their names, the last word counts.
fn ends_at_logout(root: &Path) -> bool {
    let mut files = vec![root.join("etc/systemd/logind.conf")];
    let mut parts: Vec<PathBuf> = ["usr/lib", "run", "etc"]
        .iter()
        .filter_map(|place| fs::read_dir(root.join(place).join("systemd/logind.conf.d")).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .collect();
    parts.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    files.extend(parts);
    let texts: Vec<String> =
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let mut lines = texts.iter().flat_map(|text| text.lines()).rev();
    let value = lines.find_map(|line| line.trim().strip_prefix("KillUserProcesses="));
    value.is_some_and(|value| matches!(value.trim(), "yes" | "true" | "on" | "1"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn who_would_be_ended_is_warned_before() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let state = || look(dir.path(), Some("ada")).map(|finding| finding.state);
        assert_eq!(state(), None, "no systemd");
        fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
        assert_eq!(state(), Some(State::Ok));
        write("etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=yes\n");
        assert_eq!(state(), Some(State::Ok), "a remark");
        write("etc/systemd/logind.conf.d/10-lab.conf", "[Login]\nKillUserProcesses=yes\n");
        assert_eq!(state(), Some(State::Warn));
        write("run/systemd/logind.conf.d/20-none.conf", "[Login]\nKillUserProcesses=no\n");
        assert_eq!(state(), Some(State::Ok), "the last word counts");
        fs::remove_file(dir.path().join("run/systemd/logind.conf.d/20-none.conf")).unwrap();
        write("var/lib/systemd/linger/ada", "");
        assert_eq!(state(), Some(State::Ok), "lingers");
    }
}
