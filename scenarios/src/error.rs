//! What is wrong with a scenario file, where, and what to do about it.

/// A scenario file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}; {remedy}")]
pub struct ScenarioError {
    /// Path of the file below the crate.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl ScenarioError {
    /// An error at a line of a file.
    pub fn new(file: &str, line: usize, problem: &str, remedy: &str) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem: problem.trim().replace('\n', " "),
            remedy: remedy.to_owned(),
        }
    }
}

/// The line, from 1, that holds the byte at `offset`.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The first line that holds a word which `message` quotes; 1 if there is none. The typed model is read from values in
/// which the axes are already filled in, and those have no positions any more.
pub(crate) fn line_mentioning(text: &str, message: &str) -> usize {
    let quoted = message.split(['`', '"']).skip(1).step_by(2);
    for word in quoted.filter(|word| !word.is_empty()) {
        if let Some(offset) = text.find(word) {
            return line_of(text, offset);
        }
    }
    1
}
