//! The package index as it is read: packages by number, with no garbage-collected pointer in it.

use flate2::read::MultiGzDecoder;
use std::{collections::HashMap, error::Error, fs, io::Read as _, path::Path, sync::Arc};

const BUNDLED: &[u8] = include_bytes!("debian-bookworm-depends.tsv.gz");
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Who depends on whom. Packages are numbered in the order of their lines.
pub(crate) struct Index {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, usize>,
    dependencies: Vec<Vec<usize>>,
}

impl Index {
    /// The graph in this folder.
    pub(crate) fn bundled() -> Result<Self, Box<dyn Error>> {
        Index::unpack(BUNDLED).map_err(|error| format!("bundled data: {error}").into())
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let of_file = |error: Box<dyn Error>| format!("{}: {error}", path.display());
        let bytes = fs::read(path).map_err(|error| of_file(error.into()))?;
        Ok(Index::unpack(&bytes).map_err(of_file)?)
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        if !bytes.starts_with(&GZIP) {
            return Index::parse(str::from_utf8(bytes)?);
        }
        let mut text = String::new();
        MultiGzDecoder::new(bytes).read_to_string(&mut text)?;
        Index::parse(&text)
    }

    /// Reads lines of tab-separated names: a package, then those it depends on.
    pub(crate) fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut index = Index { names: Vec::new(), numbers: HashMap::new(), dependencies: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let name: Arc<str> = line.split('\t').next().unwrap_or_default().into();
            if name.is_empty() {
                return Err(format!("line {} does not begin with a name", number + 1).into());
            }
            if index.numbers.insert(name.clone(), number).is_some() {
                return Err(format!("line {}: there is another line for `{name}`", number + 1).into());
            }
            index.names.push(name);
        }
        for (number, line) in text.lines().enumerate() {
            let of_line = |error| format!("line {}: {error}", number + 1);
            let dependencies = line.split('\t').skip(1).map(|name| index.number(name));
            index.dependencies.push(dependencies.collect::<Result<_, _>>().map_err(of_line)?);
        }
        Ok(index)
    }

    pub(crate) fn number(&self, name: &str) -> Result<usize, String> {
        self.numbers.get(name).copied().ok_or_else(|| format!("there is no package `{name}`"))
    }

    pub(crate) fn name(&self, number: usize) -> &Arc<str> {
        &self.names[number]
    }

    pub(crate) fn dependencies(&self, number: usize) -> &[usize] {
        &self.dependencies[number]
    }

    /// The other way round: for every package, those that depend on it.
    pub(crate) fn dependents(&self) -> Vec<Vec<usize>> {
        let mut dependents = vec![Vec::new(); self.len()];
        for (package, dependencies) in self.dependencies.iter().enumerate() {
            for &dependency in dependencies {
                dependents[dependency].push(package);
            }
        }
        dependents
    }

    pub(crate) fn depends(&self, package: usize, dependency: usize) -> bool {
        self.dependencies[package].contains(&dependency)
    }

    /// How many packages there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many dependencies there are.
    pub(crate) fn edges(&self) -> usize {
        self.dependencies.iter().map(Vec::len).sum()
    }
}
