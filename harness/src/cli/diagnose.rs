//! `diagnose`: from the logs of a job to what went wrong.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use driver_conformance_diagnosis::text::Input;
use driver_conformance_diagnosis::{diagnose, render};

use crate::driver::Problem;

use super::{ExpectedError, Output};

/// How much of a file is read.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes at its beginning.
    head: usize,
    /// Bytes at its end.
    tail: usize,
}

/// Far more than a job log may have.
const LIMITS: Limits = Limits {
    head: 16 << 20,
    tail: 48 << 20,
};
/// One reading.
const PIECE_BYTES: usize = 1 << 20;

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Job logs (raw, or copied from the page of the job), logs of the runner (text or JSON), reports (JSON); `-` is standard
    /// input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// text for people, json for programs (schema driver-conformance/diagnosis/v1), md for an issue
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Md,
}

/// Prints what the logs show. The exit code is 0 whatever they show: the logs were read.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let mut inputs = Vec::new();
    for path in &arguments.files {
        inputs.push(read(path)?);
    }
    let diagnosis = diagnose(&inputs);
    output.text(&match arguments.format {
        Format::Text => render::text(&diagnosis),
        Format::Json => render::json(&diagnosis),
        Format::Md => render::markdown(&diagnosis),
    });
    Ok(0)
}

fn read(path: &Path) -> Result<Input, Problem> {
    let is_standard_input = path.as_os_str() == "-";
    let name = if is_standard_input {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let opened: io::Result<Box<dyn Read>> = if is_standard_input {
        Ok(Box::new(io::stdin()))
    } else {
        File::open(path).map(|file| Box::new(BufReader::new(file)) as Box<dyn Read>)
    };
    opened
        .and_then(|source| bounded(name.clone(), source, LIMITS))
        .map_err(|error| {
            Problem::new(
                format!("{name} cannot be read: {error}"),
                "give the files of the logs, or - and the log on standard input",
            )
        })
}

/// Reads all, or the beginning and the end; the lines between are counted, so that the numbers of the others are right.
fn bounded(name: String, mut source: Box<dyn Read>, limits: Limits) -> io::Result<Input> {
    let mut input = Input {
        name,
        ..Input::default()
    };
    source
        .by_ref()
        .take(limits.head as u64)
        .read_to_end(&mut input.head)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        input.tail.extend_from_slice(&piece[..count]);
        // Twice the limit before anything is moved, so that each byte is moved once.
        if input.tail.len() >= 2 * limits.tail {
            drop_beginning(&mut input, limits.tail);
        }
    }
    if input.tail.len() > limits.tail {
        drop_beginning(&mut input, limits.tail);
    }
    if input.lines_left_out == 0 {
        let tail = std::mem::take(&mut input.tail);
        input.head.extend(tail);
    }
    Ok(input)
}

/// Cuts at the beginning of a line.
fn drop_beginning(input: &mut Input, kept: usize) {
    let excess = input.tail.len() - kept;
    let line_end = input.tail[excess..].iter().position(|byte| *byte == b'\n');
    let cut = line_end.map_or(excess, |end| excess + end + 1);
    let breaks = input.tail[..cut].iter().filter(|byte| **byte == b'\n');
    input.lines_left_out += breaks.count();
    input.tail.drain(..cut);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_log_keeps_its_ends_and_its_numbers() {
        let mut log = "x".repeat(99) + "\n";
        let limits = Limits {
            head: 10_000,
            tail: 2_000_000,
        };
        log = log.repeat((limits.head + 3 * limits.tail) / 100);
        let lines = log.lines().count() + 1;
        log.push_str("last\n");
        let input = bounded(
            "x".to_owned(),
            Box::new(io::Cursor::new(log.into_bytes())),
            limits,
        );
        let input = input.expect("memory can be read");
        assert!(input.head.len() + input.tail.len() <= limits.head + limits.tail);
        let read = input.lines();
        assert_eq!(read.last(), Some(&(lines, "last".to_owned())));
    }

    #[test]
    fn what_fits_is_whole() {
        let input =
            bounded("x".to_owned(), Box::new(&b"a\nb"[..]), LIMITS).expect("memory can be read");
        assert!(!input.is_partial());
        assert_eq!(input.lines().len(), 2);
    }
}
