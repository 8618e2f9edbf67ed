//! Lets the trainer and the tests find libtorch without `LD_LIBRARY_PATH`, and records which code was built.

use std::process::Command;

fn main() {
    record_revision();
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_ENGINE").is_none() {
        return;
    }
    let Some(root) = std::env::var_os("LIBTORCH") else { return };
    let lib = std::path::PathBuf::from(&root).join("lib");
    // The link `.libtorch` may be re-pointed at another layout; the real folder is what was linked against.
    let lib = lib.canonicalize().unwrap_or(lib);
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    #[cfg(feature = "engine")]
    bindings(&std::path::PathBuf::from(root).join("include"));
    // The workbench calls nothing in libtorch, nor do the tests of its processes. The linker would still need it there, for C++ templates
    // of torch-sys that it exports because libtorch has them too; not exported, they are dropped.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-arg-bin=instdisc-lab=-Wl,--exclude-libs,ALL");
        println!("cargo:rustc-link-arg-tests=-Wl,--exclude-libs,ALL");
    }
}

/// The one piece of C++: see there. As torch-sys compiles its own.
#[cfg(feature = "engine")]
fn bindings(include: &std::path::Path) {
    const SOURCE: &str = "src/engine/cuda/bindings.cpp";
    println!("cargo:rerun-if-changed={SOURCE}");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(false).include(include).file(SOURCE);
    build.compile("instdisc_bindings");
}

/// `INSTDISC_REVISION` and `INSTDISC_DIRTY`, for `env.json`.
fn record_revision() {
    // A path that does not exist (no repository, or a worktree) would mean a rebuild every time, and so would the index,
    // which every `git status` may write, the one below included: a commit is seen by the log of where HEAD was.
    for path in [".git/HEAD", ".git/logs/HEAD", "src"] {
        if std::path::Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let status = git(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]);
    println!("cargo:rustc-env=INSTDISC_REVISION={revision}");
    println!("cargo:rustc-env=INSTDISC_DIRTY={}", status.is_some_and(|text| !text.is_empty()));
}
