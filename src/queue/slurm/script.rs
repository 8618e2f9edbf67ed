//! The batch script of an array: one element, one run.

use super::Settings;
use super::trace::{ENDED, HELD, STARTED};
use crate::lab::RunDir;
use crate::queue::launcher::local::MARK;

const STDERR_FROM: &str = RunDir::STDERR_FROM;

/// What the script is to say.
pub(super) struct Script<'a> {
    pub name: &'a str,
    /// Elements, counted from 0.
    pub elements: usize,
    /// The folder of the submission, and that of the runs: absolute, on the shared disk.
    pub folder: &'a str,
    pub runs: &'a str,
    pub trainer: &'a str,
    pub settings: &'a Settings,
}

impl Script<'_> {
    pub(super) fn text(&self) -> String {
        let Self { folder, runs, trainer, settings, .. } = self;
        let setup: String = settings.setup.iter().map(|line| format!("{line}\n")).collect();
        format!(
            r#"#!/bin/bash
{directives}
# Element i trains the run of line i + 1 of `manifest`: its id, the attempt of the first start, when it was queued, and
# --fresh or nothing. A notice that comes before the trainer has begun finds nothing to write.
trap : USR1 USR2
{setup}
set +eu
folder={folder}
runs={runs}
trainer={trainer}
element=$SLURM_ARRAY_TASK_ID
job=${{SLURM_ARRAY_JOB_ID}}_$element
restarts=${{SLURM_RESTART_COUNT:-0}}
read -r run base queued fresh <<< "$(sed -n "$((element + 1))p" "$folder/manifest")"
if [ -z "$run" ]; then
  echo "$job on $(hostname -s): no line $((element + 1)) in $folder/manifest" >&2
  exit 2
fi
# Should Slurm have taken the same submission twice, one of the two trains. A disk that is full takes no owner.
if ! [ -e "$folder/owner" ]; then
  echo "$SLURM_ARRAY_JOB_ID" > "$folder/.owner.$job" && sync "$folder/.owner.$job" \
    && ln "$folder/.owner.$job" "$folder/owner" 2> /dev/null
  rm -f "$folder/.owner.$job"
  [ -e "$folder/owner" ] || exit 1
fi
[ "$(cat "$folder/owner")" = "$SLURM_ARRAY_JOB_ID" ] || exit 0
dir=$runs/$run
attempt=$((base + restarts))
# Fresh until it has begun once.
last=$(cut -d ' ' -f 1 "$dir/{STARTED}" 2> /dev/null)
[ "${{last:-0}}" -lt "$base" ] || fresh=
# A line that replaces the last one whole, so that nobody reads half of it.
leave() {{ printf '%s\n' "$2" > "$dir/$1.tmp" && mv "$dir/$1.tmp" "$dir/$1" || rm -f "$dir/$1.tmp"; }}
held() {{ grep -qxF "${{folder##*/}}" "$dir/{HELD}" 2> /dev/null; }}
if held; then
  # Unless it has been started otherwise since: then that start's end stands there, or will.
  [ "${{last:-0}}" -gt "$attempt" ] || leave {ENDED} "$attempt 75"
  exit 0
fi
rm -f "$dir/{ENDED}"
leave {STDERR_FROM} "$attempt $(cat "$dir/stderr.log" 2> /dev/null | wc -c)"
leave {STARTED} "$attempt $job $(hostname -s)"
cd "$dir" || exit 2
export {MARK}=$dir
"$trainer" "$dir" --attempt "$attempt" --device '{device}' --cores "${{SLURM_CPUS_ON_NODE:-1}}" \
  --node "${{SLURMD_NODENAME:-$(hostname -s)}}" --job "$job" --claim "$dir/{STARTED}" \
  $fresh >> "$dir/stdout.log" 2>> "$dir/stderr.log" &
child=$!
# Slurm's notice before the time limit, and whoever sends the same by hand: checkpoint, then start anew. A TERM comes with a
# cancel, a preemption or the limit itself; what follows it is for Slurm to say.
notice= again=
trap 'notice=1; again=1; kill -USR1 "$child" 2> /dev/null' USR1 USR2
trap 'notice=1; again=; kill -TERM "$child" 2> /dev/null' TERM
while :; do
  notice=
  wait "$child"
  status=$?
  # A signal interrupts the wait; the next one waits on, or returns what the trainer has left.
  [ -n "$notice" ] || break
done
trap '' USR1 USR2
leave {ENDED} "$attempt $status"
if [ "$status" -eq 75 ] && [ -n "$again" ] && ! held; then
  for pause in 1 2 5 10 20; do
    scontrol requeue "$job" && exit 0
    sleep "$pause"
  done
fi
exit "$status"
"#,
            directives = self.directives(),
            setup = setup.trim_end(),
            folder = quoted(folder),
            runs = quoted(runs),
            trainer = quoted(trainer),
            device = settings.device(),
        )
    }

    fn directives(&self) -> String {
        let Self { name, elements, folder, settings, .. } = self;
        let last = elements.saturating_sub(1);
        let cap = settings.cap.map(|cap| format!("%{cap}")).unwrap_or_default();
        let mut lines = vec![
            format!("--job-name={name}"),
            format!("--array=0-{last}{cap}"),
            // What the script itself says, of all elements: trainers write into their runs' directories.
            format!("--output=\"{folder}/slurm.log\""),
            "--open-mode=append".to_owned(),
            "--requeue".to_owned(),
            format!("--signal=B:USR1@{}", settings.notice),
        ];
        lines.extend(resources(settings));
        directives(&lines)
    }
}

/// The options of a script's directives that nobody else may set: by them a submission is found again.
pub(super) fn ours(text: &str) -> Vec<String> {
    let directives = text.lines().filter_map(|line| line.strip_prefix("#SBATCH "));
    let ours = directives.filter(|option| is_ours(option)).take(OURS.len());
    ours.map(|option| option.replace('"', "")).collect()
}

/// Long options by which we know a job, or that keep it ours, in the order of the directives.
const OURS: [&str; 6] =
    ["--job-name", "--array", "--output", "--open-mode", "--requeue", "--signal"];

/// Whether an option of `sbatch` is one that only we may give.
pub(super) fn is_ours(option: &str) -> bool {
    let name = option.split(['=', ' ']).next().unwrap_or_default();
    OURS.contains(&name)
}

/// What a node finds, and no more: a job of a second.
pub(super) fn probe(settings: &Settings, trainer: &str, folder: &str) -> String {
    let mut lines =
        vec!["--job-name=instdisc-doctor".into(), format!("--output=\"{folder}/slurm.log\"")];
    lines.extend(resources(settings));
    lines.push("--time=1".into());
    let setup: String = settings.setup.iter().map(|line| format!("{line}\n")).collect();
    format!(
        "#!/bin/bash\n{}\n{setup}{{\n  echo \"host ${{SLURMD_NODENAME:-$(hostname -s)}}\"\n  \
         echo \"clock $(date +%s.%N)\"\n  echo \"probe $({} --probe 2>&1 | head -n 1)\"\n}} > {}/found\n",
        directives(&lines),
        quoted(trainer),
        quoted(folder),
    )
}

/// What a run is given, as options of `sbatch`.
fn resources(settings: &Settings) -> Vec<String> {
    let words = [
        ("partition", &settings.partition),
        ("account", &settings.account),
        ("qos", &settings.qos),
        ("time", &settings.time),
        ("gres", &settings.gres),
        ("mem", &settings.memory),
        ("constraint", &settings.constraint),
    ];
    let words = words
        .iter()
        .filter_map(|(option, value)| value.as_ref().map(|value| format!("--{option}={value}")));
    let mut lines: Vec<String> = words.collect();
    lines.extend(settings.gpus.map(|n| format!("--gpus-per-node={n}")));
    lines.extend(settings.cpus.map(|n| format!("--cpus-per-task={n}")));
    lines.extend(settings.extra.iter().cloned());
    lines
}

fn directives(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("#SBATCH {line}")).collect();
    lines.join("\n")
}

/// For a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(settings: &Settings) -> String {
        let script = Script {
            name: "instdisc-0a1b",
            elements: 12,
            folder: "/lab/slurm/0a1b",
            runs: "/lab/it's/runs",
            trainer: "/opt/instdisc-train",
            settings,
        };
        script.text()
    }

    #[test]
    fn what_is_asked_for_stands_in_the_directives_and_nothing_else() {
        let plain = script(&Settings::default());
        assert!(plain.contains("#SBATCH --array=0-11\n"));
        assert!(plain.contains("#SBATCH --signal=B:USR1@120\n"));
        assert!(!plain.contains("--partition") && !plain.contains("--time"));
        let all = script(&Settings {
            partition: Some("gpu".into()),
            time: Some("2-0".into()),
            gpus: Some(1),
            cap: Some(4),
            extra: vec!["--mail-type=FAIL".into()],
            setup: vec!["module load cuda".into()],
            ..Settings::default()
        });
        for line in [
            "#SBATCH --array=0-11%4\n",
            "#SBATCH --partition=gpu\n",
            "#SBATCH --time=2-0\n",
            "#SBATCH --gpus-per-node=1\n",
            "#SBATCH --mail-type=FAIL\n",
            "\nmodule load cuda\n",
            "--device 'cuda:0'",
            r"runs='/lab/it'\''s/runs'",
        ] {
            assert!(all.contains(line), "{line}");
        }
    }

    #[test]
    fn what_only_we_may_say_goes_onto_the_command_line() {
        let text = script(&Settings { cap: Some(4), ..Settings::default() });
        let options = [
            "--job-name=instdisc-0a1b",
            "--array=0-11%4",
            "--output=/lab/slurm/0a1b/slurm.log",
            "--open-mode=append",
            "--requeue",
            "--signal=B:USR1@120",
        ];
        assert_eq!(ours(&text), options);
    }

    #[test]
    fn a_job_notes_where_its_words_begin() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| root.path().join(name);
        let (folder, runs, trainer) = (place("sent"), place("runs"), place("trainer"));
        let dir = RunDir::new(runs.join("one"));
        std::fs::create_dir_all(dir.path()).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("manifest"), "one 2 7 \n").unwrap();
        std::fs::write(dir.stderr(), "old\n").unwrap();
        std::fs::write(&trainer, "#!/bin/sh\necho new >&2\nexit 3\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&trainer, mode).unwrap();
        let path = |path: &std::path::Path| path.display().to_string();
        let script = Script {
            name: "instdisc-0a1b",
            elements: 1,
            folder: &path(&folder),
            runs: &path(&runs),
            trainer: &path(&trainer),
            settings: &Settings::default(),
        };
        std::fs::write(place("batch.sh"), script.text()).unwrap();
        let mut job = std::process::Command::new("bash");
        job.arg(place("batch.sh")).env("SLURM_ARRAY_TASK_ID", "0").env("SLURM_ARRAY_JOB_ID", "41");
        job.env("SLURM_RESTART_COUNT", "1");
        assert_eq!(job.status().unwrap().code(), Some(3));
        assert_eq!(std::fs::read_to_string(dir.stderr_from()).unwrap(), "3 4\n");
        assert_eq!(std::fs::read_to_string(dir.stderr()).unwrap(), "old\nnew\n");
    }

    #[test]
    fn a_shell_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("batch.sh");
        std::fs::write(&path, script(&Settings::default())).unwrap();
        let read = std::process::Command::new("bash").arg("-n").arg(&path).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }
}
