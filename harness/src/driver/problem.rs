//! What is wrong with a driver's files or settings, told in one paragraph: what, where, and the remedy.

use std::fmt;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use driver_conformance_reports::text::visible_line;

/// A text file that was read, kept so that problems can point into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is, as the user would write it.
    pub path: PathBuf,
    /// What is in it.
    pub text: Arc<str>,
}

/// How standard input is named where a file would be.
const STANDARD_INPUT: &str = "standard input";

impl SourceFile {
    /// Reads a file that must be UTF-8.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let bytes = std::fs::read(path).map_err(|error| {
            Problem::new(
                format!("{} cannot be read: {error}", path.display()),
                "check that the file exists and that you may read it",
            )
        })?;
        Self::of_bytes(path, bytes)
    }

    /// Reads standard input, which must be UTF-8, to its end.
    pub fn read_standard_input() -> Result<Self, Problem> {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| {
            Problem::new(
                format!("{STANDARD_INPUT} cannot be read: {error}"),
                "give a file, or pipe one into the command",
            )
        })?;
        Self::of_bytes(Path::new(STANDARD_INPUT), bytes)
    }

    fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Problem> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::new(
                format!("{} is not UTF-8 text (byte {at})", path.display()),
                "TOML files are UTF-8; save the file in this encoding",
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            text: text.into(),
        })
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let mut end = byte.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (line, before[line_start..].chars().count() + 1)
    }
}

/// A place in a file and what is to be seen there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    file: SourceFile,
    span: Range<usize>,
    label: String,
}

/// Something wrong with a driver's files or settings. As an error it ends the run, as a note it is only shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    excerpt: Option<Box<Excerpt>>,
    remedy: String,
}

impl Problem {
    /// A problem without a place in a file. `message` is a sentence without full stop; `remedy` says what to do.
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            excerpt: None,
            remedy: remedy.into(),
        }
    }

    /// The same, pointing at bytes of a file; `label` stands beside them.
    #[must_use]
    pub fn at(mut self, file: &SourceFile, span: Range<usize>, label: impl Into<String>) -> Self {
        self.excerpt = Some(Box::new(Excerpt {
            file: file.clone(),
            span,
            label: label.into(),
        }));
        self
    }

    /// What is wrong, as one line: for the notes of a report.
    pub fn line(&self) -> String {
        match &self.excerpt {
            Some(excerpt) => {
                let (line, column) = excerpt.file.position(excerpt.span.start);
                let path = excerpt.file.path.display();
                format!("{path}:{line}:{column}: {}; {}", self.message, self.remedy)
            }
            None => format!("{}; {}", self.message, self.remedy),
        }
    }

    /// The paragraph for the terminal, as an error.
    pub fn render_error(&self, color: bool) -> String {
        self.render(Level::ERROR, color)
    }

    /// The paragraph for the terminal, as a warning.
    pub fn render_warning(&self, color: bool) -> String {
        self.render(Level::WARNING, color)
    }

    fn render(&self, level: Level<'_>, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let title = level.primary_title(visible_line(&self.message));
        let remedy = visible_line(&self.remedy);
        let Some(excerpt) = &self.excerpt else {
            let help = Group::with_title(Level::HELP.secondary_title(remedy));
            // Rendered apart: together they get an empty margin between them, as if there were an excerpt.
            let title = renderer.render(&[Group::with_title(title)]);
            return format!("{title}\n{}", renderer.render(&[help]));
        };
        let annotation = AnnotationKind::Primary
            .span(excerpt.span.clone())
            .label(visible_line(&excerpt.label));
        let snippet = Snippet::source(&*excerpt.file.text)
            .path(excerpt.file.path.display().to_string())
            .annotation(annotation);
        renderer.render(&[title.element(snippet).element(Level::HELP.message(remedy))])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.line())
    }
}

impl std::error::Error for Problem {}
