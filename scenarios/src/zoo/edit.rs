//! One change of a text, found by the text itself, so that it cannot silently land elsewhere when the text changes.

use std::ops::Range;

/// A change in one file of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Path of the file below the driver's directory.
    pub file: String,
    /// What is done there.
    pub operation: Operation,
}

/// What is done at a text that occurs exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The text is replaced by another one.
    Replace {
        /// The text.
        find: String,
        /// What stands there instead.
        replace: String,
    },
    /// Lines are put behind the line that holds the text.
    InsertAfter {
        /// The text.
        after: String,
        /// The lines.
        insert: String,
    },
    /// Lines are put in front of the line that holds the text.
    InsertBefore {
        /// The text.
        before: String,
        /// The lines.
        insert: String,
    },
    /// The lines that hold the text are taken away.
    Remove {
        /// The text.
        remove: String,
    },
}

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditProblem {
    #[error("the text `{0}` is not in the file")]
    NotFound(String),
    #[error("the text `{text}` is in the file {count} times")]
    Ambiguous { text: String, count: usize },
    #[error("the edit changes nothing")]
    NothingChanged,
}

impl Operation {
    /// The text with the change made.
    pub(super) fn apply(&self, text: &str) -> Result<String, EditProblem> {
        let (place, new) = match self {
            Self::Replace { find, replace } => (only_place(text, find)?, replace.clone()),
            Self::InsertAfter { after, insert } => {
                let end = whole_lines(text, only_place(text, after)?).end;
                (end..end, as_lines(insert))
            }
            Self::InsertBefore { before, insert } => {
                let start = whole_lines(text, only_place(text, before)?).start;
                (start..start, as_lines(insert))
            }
            Self::Remove { remove } => {
                let lines = whole_lines(text, only_place(text, remove)?);
                (lines, String::new())
            }
        };
        if text[place.clone()] == new {
            return Err(EditProblem::NothingChanged);
        }
        let mut changed = text.to_owned();
        changed.replace_range(place, &new);
        Ok(changed)
    }
}

/// Where the wanted text is.
fn only_place(text: &str, wanted: &str) -> Result<Range<usize>, EditProblem> {
    let mut places = text.match_indices(wanted);
    let Some((start, _)) = places.next().filter(|_| !wanted.is_empty()) else {
        return Err(EditProblem::NotFound(wanted.to_owned()));
    };
    let more = places.count();
    if more > 0 {
        return Err(EditProblem::Ambiguous {
            text: wanted.to_owned(),
            count: more + 1,
        });
    }
    Ok(start..start + wanted.len())
}

/// The lines that a place is on, with the newline of the last one.
fn whole_lines(text: &str, place: Range<usize>) -> Range<usize> {
    let start = text[..place.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    // A place that ends with a newline ends on the line of this newline.
    let last = place.end.saturating_sub(1).max(place.start);
    let end = text[last..]
        .find('\n')
        .map_or(text.len(), |newline| last + newline + 1);
    start..end
}

fn as_lines(text: &str) -> String {
    let mut lines = text.to_owned();
    if !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "first\n  second\nthird\n";

    fn owned(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_text_is_replaced_within_its_line() {
        let edit = Operation::Replace {
            find: owned("second"),
            replace: owned("2nd"),
        };
        assert_eq!(edit.apply(TEXT), Ok(owned("first\n  2nd\nthird\n")));
    }

    #[test]
    fn lines_are_put_behind_and_before_the_line_of_a_text() {
        let behind = Operation::InsertAfter {
            after: owned("cond"),
            insert: owned("new"),
        };
        assert_eq!(
            behind.apply(TEXT),
            Ok(owned("first\n  second\nnew\nthird\n"))
        );
        let before = Operation::InsertBefore {
            before: owned("cond"),
            insert: owned("new\nlines\n"),
        };
        assert_eq!(
            before.apply(TEXT),
            Ok(owned("first\nnew\nlines\n  second\nthird\n"))
        );
    }

    #[test]
    fn a_place_that_ends_with_its_newline_is_not_on_the_next_line() {
        let behind = Operation::InsertAfter {
            after: owned("first\n"),
            insert: owned("new\n"),
        };
        assert_eq!(
            behind.apply(TEXT),
            Ok(owned("first\nnew\n  second\nthird\n"))
        );
    }

    #[test]
    fn the_lines_of_a_text_are_taken_away() {
        let edit = Operation::Remove {
            remove: owned("cond\nth"),
        };
        assert_eq!(edit.apply(TEXT), Ok(owned("first\n")));
        let last = Operation::Remove { remove: owned("b") };
        assert_eq!(last.apply("a\nb"), Ok(owned("a\n")));
    }

    #[test]
    fn a_text_that_is_not_there_or_there_twice_is_an_error() {
        let remove = |text: &str| Operation::Remove {
            remove: owned(text),
        };
        assert_eq!(
            remove("fourth").apply(TEXT),
            Err(EditProblem::NotFound(owned("fourth")))
        );
        assert_eq!(
            remove("").apply(TEXT),
            Err(EditProblem::NotFound(owned("")))
        );
        assert_eq!(
            remove("ir").apply(TEXT),
            Err(EditProblem::Ambiguous {
                text: owned("ir"),
                count: 2
            })
        );
    }

    #[test]
    fn an_edit_without_effect_is_an_error() {
        let edit = Operation::Replace {
            find: owned("third"),
            replace: owned("third"),
        };
        assert_eq!(edit.apply(TEXT), Err(EditProblem::NothingChanged));
    }
}
