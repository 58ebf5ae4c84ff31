//! Builds the contestants and asks them what they can run.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// What has been built.
pub(super) struct Binaries {
    /// Each holds one or more contestants.
    contestants: Vec<PathBuf>,
    /// Where the Rust binaries are.
    pub(super) directory: PathBuf,
    /// What the tools of the contestants in other languages say of themselves.
    pub(super) versions: Vec<String>,
}

/// One contestant's version of one program.
pub(super) struct Entry {
    pub(super) contestant: String,
    pub(super) program: String,
    binary: PathBuf,
}

impl Entry {
    /// The command line that runs it.
    pub(super) fn command(&self, sizes: &[u64]) -> Vec<String> {
        let mut words =
            vec![self.binary.display().to_string(), "run".into(), self.contestant.clone(), self.program.clone()];
        words.extend(sizes.iter().map(ToString::to_string));
        words
    }
}

/// The output of a command that must succeed.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Builds the contestants with cargo, and the others with the tools that are there; says which are not.
pub(super) fn build(peers: bool) -> Result<Binaries, String> {
    let directory = env::current_exe().ok().and_then(|it| Some(it.parent()?.to_path_buf())).ok_or("where am I?")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--manifest-path", &format!("{HERE}/Cargo.toml")]);
    for binary in ["contestant", "contestant_mimalloc", "smallest_gc", "smallest_arc"] {
        cargo.args(["--bin", binary]);
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    if peers {
        cargo.args(["--features", "peers"]);
    }
    if !cargo.status().is_ok_and(|status| status.success()) {
        return Err(format!("{cargo:?} failed"));
    }
    let contestants = vec![directory.join("contestant"), directory.join("contestant_mimalloc")];
    let mut binaries = Binaries { contestants, directory, versions: Vec::new() };
    binaries.add("Go", go);
    binaries.add("Boehm's collector", boehm);
    Ok(binaries)
}

impl Binaries {
    fn add(&mut self, what: &str, build: fn(&Path) -> Result<(PathBuf, String), String>) {
        match build(&self.directory) {
            Ok((binary, version)) => {
                self.contestants.push(binary);
                self.versions.push(version);
            }
            Err(why) => eprintln!("without {what}: {}", why.lines().next().unwrap_or_default()),
        }
    }

    /// Every version of every program.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        for binary in &self.contestants {
            for line in output(Command::new(binary).arg("list"))?.lines() {
                let (contestant, program) = line.split_once('\t').ok_or(format!("not an entry: {line}"))?;
                entries.push(Entry { contestant: contestant.into(), program: program.into(), binary: binary.clone() });
            }
        }
        Ok(entries)
    }
}

/// `go` from the path, or what the environment variable `GO` says.
fn go(directory: &Path) -> Result<(PathBuf, String), String> {
    let binary = directory.join("contestant_go");
    let go = env::var_os("GO").unwrap_or("go".into());
    output(
        Command::new(go)
            .args(["build", "-o"])
            .arg(&binary)
            .current_dir(format!("{HERE}/go"))
            .env("GOTOOLCHAIN", "local"),
    )?;
    let version = output(Command::new(&binary).arg("version"))?;
    Ok((binary, version))
}

/// `cc` from the path, or what the environment variable `CC` says, with the collector's library.
fn boehm(directory: &Path) -> Result<(PathBuf, String), String> {
    let binary = directory.join("contestant_boehm");
    let cc = env::var_os("CC").unwrap_or("cc".into());
    output(Command::new(&cc).args(["-O2", "-o"]).arg(&binary).args([&format!("{HERE}/c/main.c"), "-lgc"]))
        .map_err(|_| "no C compiler, or no library `gc` with its headers".to_string())?;
    let compiler = output(Command::new(&cc).arg("--version"))?;
    let version = output(Command::new(&binary).arg("version"))?;
    Ok((binary, format!("{version} ({})", compiler.lines().next().unwrap_or_default())))
}
