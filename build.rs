//! Lets the trainer and the tests find libtorch without `LD_LIBRARY_PATH`.
fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_ENGINE").is_none() {
        return;
    }
    let Some(root) = std::env::var_os("LIBTORCH") else { return };
    let lib = std::path::PathBuf::from(root).join("lib");
    // The link `.libtorch` may be re-pointed at another layout; the real folder is what was linked against.
    let lib = lib.canonicalize().unwrap_or(lib);
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}
