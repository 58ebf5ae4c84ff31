//! `SAFETY.md` speaks of all `unsafe` code, and of tests and models that there are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files under `folder` whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything between backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn has_unsafe_code(source: &str) -> bool {
    let code = source.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.into_iter()
        .any(|line| ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"].iter().any(|it| line.contains(it)))
}

#[test]
fn every_file_with_unsafe_code_is_listed() {
    let text = read(&root().join("SAFETY.md"));
    let listed = quoted(&text);
    let mut seen = 0;
    for (folder, prefix) in [("gc/src", ""), ("gc-derive/src", "gc-derive/src/")] {
        let folder = root().join(folder);
        for path in files(&folder, ".rs") {
            if has_unsafe_code(&read(&path)) {
                let below =
                    path.strip_prefix(&folder).expect("found in the folder").to_string_lossy().replace('\\', "/");
                let name = format!("{prefix}{below}");
                assert!(
                    listed.contains(name.as_str()),
                    "SAFETY.md does not say what the unsafe code in {name} relies on"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "only {seen} files with unsafe code were found");
}

#[test]
fn every_name_leads_somewhere() {
    let text = read(&root().join("SAFETY.md"));
    let sources: Vec<_> =
        ["gc/src", "tests/tests"].iter().flat_map(|folder| files(&root().join(folder), ".rs")).collect();
    let sources: String = sources.iter().map(|path| read(path)).collect();
    let mut tests = 0;
    for name in quoted(&text) {
        if name.ends_with(".rs") {
            let path = [root().join("gc/src").join(name), root().join(name)].into_iter().find(|path| path.exists());
            let path = path.unwrap_or_else(|| panic!("SAFETY.md names {name}, which is not there"));
            assert!(!name.starts_with("heap/") || has_unsafe_code(&read(&path)), "{name} has no unsafe code any more");
        } else if name.contains('_')
            && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
        {
            let there = sources.contains(&format!("fn {name}("))
                || root().join(format!("tests/ui/{name}.rs")).exists()
                || sources.contains(&format!("mod {name}"));
            assert!(there, "SAFETY.md names {name}, which is no test");
            tests += 1;
        }
    }
    assert!(tests > 60, "only {tests} tests are named");
}
