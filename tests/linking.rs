//! What the two programs need from the dynamic linker, read off their own headers: no tool of the machine is asked.

use std::fs;
use std::path::Path;

/// The shared libraries that a 64-bit little-endian ELF file names (DT_NEEDED).
fn needed(program: &Path) -> Vec<String> {
    const PT_LOAD: u64 = 1;
    const PT_DYNAMIC: u64 = 2;
    const DT_NEEDED: u64 = 1;
    const DT_STRTAB: u64 = 5;
    let file = fs::read(program).unwrap();
    assert_eq!(file[..6], *b"\x7fELF\x02\x01", "{} is 64-bit little-endian ELF", program.display());
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().rev().fold(0u64, |n, &byte| n << 8 | u64::from(byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    // Kind, offset in the file, address, length in the file.
    let segments: Vec<[u64; 4]> = (0..count)
        .map(|i| (table + i * size) as usize)
        .map(|at| [number(at, 4), number(at + 8, 8), number(at + 16, 8), number(at + 32, 8)])
        .collect();
    let dynamic = segments.iter().find(|s| s[0] == PT_DYNAMIC).expect("it is linked dynamically");
    let entries: Vec<(u64, u64)> = (0..dynamic[3] / 16)
        .map(|i| (dynamic[1] + 16 * i) as usize)
        .map(|at| (number(at, 8), number(at + 8, 8)))
        .take_while(|&(tag, _)| tag != 0)
        .collect();
    let strings = entries.iter().find(|(tag, _)| *tag == DT_STRTAB).unwrap().1;
    let holds = |s: &&[u64; 4]| s[0] == PT_LOAD && (s[2]..s[2] + s[3]).contains(&strings);
    let segment = segments.iter().find(holds).unwrap();
    let strings = (strings - segment[2] + segment[1]) as usize;
    let name = |offset: u64| {
        let text = file[strings + offset as usize..].split(|&byte| byte == 0).next().unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    };
    entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|&(_, offset)| name(offset)).collect()
}

fn needs_no_libtorch(program: &Path) {
    let libraries = needed(program);
    assert!(libraries.iter().any(|name| name.starts_with("libc.so")), "{libraries:?}");
    let torch = |name: &&String| name.contains("torch") || name.contains("c10");
    assert_eq!(libraries.iter().find(torch), None, "{libraries:?}");
}

#[test]
fn the_workbench_needs_no_libtorch() {
    needs_no_libtorch(Path::new(env!("CARGO_BIN_EXE_instdisc-lab")));
}

/// Each stand-in trainer is this binary, and would load it for half a second of processor time.
#[test]
fn nor_do_these_tests() {
    needs_no_libtorch(&std::env::current_exe().unwrap());
}

/// libtorch has an allocator of its own and leaves its large blocks to the system's.
#[cfg(all(feature = "engine", target_os = "linux"))]
#[test]
fn the_workbench_alone_has_an_allocator_of_its_own() {
    let has = |program: &str| {
        let messages = b"mimalloc: ";
        fs::read(program).unwrap().windows(messages.len()).any(|bytes| bytes == messages)
    };
    assert!(has(env!("CARGO_BIN_EXE_instdisc-lab")));
    assert!(!has(env!("CARGO_BIN_EXE_instdisc-train")));
}

/// The tests of libraries could not fail if the reader saw nothing.
#[cfg(feature = "engine")]
#[test]
fn the_trainer_does() {
    let libraries = needed(Path::new(env!("CARGO_BIN_EXE_instdisc-train")));
    assert!(libraries.iter().any(|name| name.starts_with("libtorch")), "{libraries:?}");
}
