//! A home that two machines see.

use std::fs;
use std::process::{Command, Output};

use instdisc_lab::store::State;

use crate::cluster::Cluster;
use crate::support::{Lab, kill};

/// As on another machine of the cluster, whose local disk has no run log.
fn elsewhere(lab: &Lab, args: &[&str]) -> Output {
    let asked = lab.command(args);
    let mut command = Command::new("unshare");
    command.args(["--uts", "sh", "-c", "hostname login2 && exec \"$0\" \"$@\""]);
    command.arg(asked.get_program()).args(asked.get_args());
    command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(lab.path()).output().unwrap()
}

#[test]
fn a_second_login_node_is_refused_and_can_take_over() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let mut settings = fs::read_to_string(lab.home().settings()).unwrap();
    settings.push_str(&format!("[store]\npath = \"{}/lab.db\"\n", lab.path().display()));
    fs::write(lab.home().settings(), &settings).unwrap();
    let file = lab.experiment("kept", &[0.0]);
    let run = lab.queue(&file, &[]).remove(0);
    lab.wait_for_state(&run, State::Running);
    let worker = lab.worker();

    // Its own disk has a run log of its own, or none.
    let there = settings.replace("/lab.db", "/login2.db");
    fs::write(lab.home().settings(), &there).unwrap();
    for args in
        [&["queue", file.to_str().unwrap()][..], &["runs"], &["worker", "--launcher", "slurm"]]
    {
        let output = elsewhere(&lab, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("is kept by") && said.contains("this is login2"), "{said}");
    }
    assert!(!lab.path().join("login2.db").exists(), "no second run log was begun");
    // Nor may it be taken while somebody works with it.
    let output = elsewhere(&lab, &["doctor", "--repair"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));

    // The first machine is gone; its job is not.
    kill(worker);
    let output = elsewhere(&lab, &["doctor", "--repair"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("is kept here from now on"), "{said}");
    fs::write(lab.home().settings(), &settings).unwrap();
    assert_eq!(lab.output(&["runs"]).status.code(), Some(2), "now it is the other one's");
    fs::write(lab.home().settings(), &there).unwrap();
    lab.behave("until 100");
    let worker = elsewhere(&lab, &["worker", "--launcher", "slurm", "--until-empty"]);
    assert!(worker.status.success(), "{}", String::from_utf8_lossy(&worker.stderr));
    let shown = elsewhere(&lab, &["runs", "--format", "csv"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("finished"), "{shown}");
    assert_eq!(lab.starts(&run).len(), 1);
    assert_eq!(cluster.arrays().len(), 1);
}
