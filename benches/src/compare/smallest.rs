//! The smallest program with a `Gc`, beside the one with an `Arc`: size, and time from start to end.

use super::{build::Binaries, build::output, results::median};
use std::{fs, path::Path, process::Command, time::Instant};

const ROUNDS: usize = 200;

/// A section of the page.
pub(super) fn report(binaries: &Binaries) -> Result<String, String> {
    let programs = ["smallest_gc", "smallest_arc"].map(|name| binaries.directory.join(name));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (program, times) in programs.iter().zip(&mut times) {
            let begun = Instant::now();
            output(&mut Command::new(program))?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let mut page = String::from(
        "\n## The smallest program\n\nIt prints one number. Sizes are without symbols; times from start to end, medians of 200.\n\n",
    );
    page += "| pointer | size, KiB | time, ms |\n| --- | --- | --- |\n";
    for ((name, program), times) in ["`Gc`", "`Arc`"].into_iter().zip(&programs).zip(times) {
        let size = stripped_size(program)?;
        page += &format!("| {name} | {:.0} | {:.2} |\n", size as f64 / 1024.0, median(times).unwrap_or_default());
    }
    Ok(page)
}

/// The size of the file without symbols and debug information; as it is where there is no `strip`.
fn stripped_size(program: &Path) -> Result<u64, String> {
    let stripped = program.with_extension("stripped");
    let done = output(Command::new("strip").arg("-o").arg(&stripped).arg(program));
    let file = if done.is_ok() { &stripped } else { program };
    fs::metadata(file).map(|it| it.len()).map_err(|error| error.to_string())
}
