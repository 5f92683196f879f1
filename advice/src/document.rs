//! A text with headings, lists, drawings and tables, and its forms: terminal, Markdown, HTML, JSON.

use std::fmt::Write as _;

use driver_conformance_reports::text::wrap;
use serde::Serialize;

/// Width of texts in the terminal.
const WIDTH: usize = 96;
/// A table whose cells need so many times the width is no longer read along its rows.
const ROWS_TALL: usize = 3;

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Which schema its JSON has.
    pub schema: &'static str,
    /// What it is asked for by.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What is in it.
    pub blocks: Vec<Block>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Block {
    /// A heading.
    Heading {
        /// The heading.
        text: String,
    },
    /// A paragraph.
    Paragraph {
        /// The text.
        text: String,
    },
    /// A drawing, or what can be typed.
    Drawing {
        /// Its lines.
        text: String,
    },
    /// Statements, each with what it stands on.
    Statements {
        /// The statements.
        items: Vec<Statement>,
    },
    /// A table.
    Table {
        /// Headings of the columns.
        head: Vec<String>,
        /// Rows.
        rows: Vec<Vec<String>>,
        /// Rows that apply, where the table is marked.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        marked: Vec<bool>,
    },
}

/// A statement with what it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The statement.
    pub text: String,
    /// A mark before it: `x`, `!`, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<&'static str>,
    /// Clauses of the contract.
    pub clauses: Vec<String>,
    /// How it is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    /// For which versions of the runner, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
    /// More lines below it: evidence, what the public documentation says otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Statement {
    /// `(F6; source, measured; 13.4 and later)`, or nothing.
    fn source(&self) -> String {
        let mut parts = Vec::new();
        for part in [self.clauses.join(", "), self.known.join(", ")] {
            if !part.is_empty() {
                parts.push(part);
            }
        }
        parts.extend(self.versions.clone());
        if parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", parts.join("; "))
        }
    }
}

impl Document {
    /// For the terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for block in &self.blocks {
            text.push('\n');
            match block {
                Block::Heading { text: heading } => {
                    let _ = writeln!(text, "{heading}");
                }
                Block::Paragraph { text: paragraph } => indented(&mut text, paragraph, "  ", "  "),
                Block::Drawing { text: drawing } => {
                    for line in drawing.lines() {
                        let _ = writeln!(text, "    {line}");
                    }
                }
                Block::Statements { items } => {
                    for item in items {
                        let first = item
                            .mark
                            .map_or("  - ".to_owned(), |mark| format!("  [{mark}] "));
                        let rest = " ".repeat(first.len());
                        indented(
                            &mut text,
                            &format!("{}{}", item.text, item.source()),
                            &first,
                            &rest,
                        );
                        for note in &item.notes {
                            indented(&mut text, note, &rest, &rest);
                        }
                    }
                }
                Block::Table { head, rows, marked } => table_text(&mut text, head, rows, marked),
            }
        }
        text
    }

    /// For a wiki or an issue.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n", self.title);
        for block in &self.blocks {
            text.push('\n');
            match block {
                Block::Heading { text: heading } => {
                    let _ = writeln!(text, "## {heading}");
                }
                Block::Paragraph { text: paragraph } => {
                    let _ = writeln!(text, "{paragraph}");
                }
                Block::Drawing { text: drawing } => {
                    let _ = writeln!(text, "```text\n{}\n```", drawing.trim_end());
                }
                Block::Statements { items } => {
                    for item in items {
                        let mark = item.mark.map_or(String::new(), |mark| format!("[{mark}] "));
                        let _ = writeln!(text, "- {mark}{}{}", item.text, item.source());
                        for note in &item.notes {
                            let _ = writeln!(text, "  - {note}");
                        }
                    }
                }
                Block::Table { head, rows, marked } => {
                    let cells = |row: &[String]| {
                        let cells: Vec<String> =
                            row.iter().map(|cell| cell.replace('|', "\\|")).collect();
                        format!("| {} |", cells.join(" | "))
                    };
                    let _ = writeln!(text, "{}\n|{}", cells(head), "---|".repeat(head.len()));
                    for (index, row) in rows.iter().enumerate() {
                        let mut row = row.clone();
                        if marked.get(index) == Some(&true) {
                            row[0] = format!("**{}**", row[0]);
                        }
                        let _ = writeln!(text, "{}", cells(&row));
                    }
                }
            }
        }
        text
    }

    /// One page that needs nothing else.
    pub fn html(&self) -> String {
        let mut text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n",
            escaped(&self.title)
        );
        for block in &self.blocks {
            match block {
                Block::Heading { text: heading } => {
                    let _ = writeln!(text, "<h2>{}</h2>", escaped(heading));
                }
                Block::Paragraph { text: paragraph } => {
                    let _ = writeln!(text, "<p>{}</p>", escaped(paragraph));
                }
                Block::Drawing { text: drawing } => {
                    let _ = writeln!(text, "<pre>{}</pre>", escaped(drawing));
                }
                Block::Statements { items } => statements_html(&mut text, items),
                Block::Table { head, rows, marked } => table_html(&mut text, head, rows, marked),
            }
        }
        text.push_str("</html>\n");
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.unwrap_or_else(|error| unreachable!("the model is plain data: {error}")) + "\n"
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}\
table{border-collapse:collapse}th,td{border:1px solid #8888;padding:.3rem .6rem;text-align:left;vertical-align:top}\
tr.applies{background:#fc03}pre{overflow-x:auto}small{opacity:.7}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn statements_html(text: &mut String, items: &[Statement]) {
    text.push_str("<ul>\n");
    for item in items {
        let mark = item.mark.map_or(String::new(), |mark| format!("[{mark}] "));
        let source = escaped(&item.source());
        let _ = write!(
            text,
            "<li>{mark}{} <small>{source}</small>",
            escaped(&item.text)
        );
        for note in &item.notes {
            let _ = write!(text, "<br>{}", escaped(note));
        }
        text.push_str("</li>\n");
    }
    text.push_str("</ul>\n");
}

fn table_html(text: &mut String, head: &[String], rows: &[Vec<String>], marked: &[bool]) {
    let cells = |name: &str, row: &[String]| {
        let cells = row
            .iter()
            .map(|cell| format!("<{name}>{}</{name}>", escaped(cell)));
        cells.collect::<String>()
    };
    let _ = writeln!(text, "<table>\n<tr>{}</tr>", cells("th", head));
    for (index, row) in rows.iter().enumerate() {
        let class = if marked.get(index) == Some(&true) {
            " class=\"applies\""
        } else {
            ""
        };
        let _ = writeln!(text, "<tr{class}>{}</tr>", cells("td", row));
    }
    text.push_str("</table>\n");
}

fn indented(text: &mut String, content: &str, first: &str, rest: &str) {
    for (index, line) in wrap(content, WIDTH - first.len()).iter().enumerate() {
        let start = if index == 0 { first } else { rest };
        let _ = writeln!(text, "{}", format!("{start}{line}").trim_end());
    }
}

/// Rows that would be very tall, one below the other: the first cell, and below it the others with their heads.
fn records_text(text: &mut String, head: &[String], rows: &[Vec<String>], marked: &[bool]) {
    let labels = head.iter().skip(1).map(|label| label.chars().count());
    let label_width = labels.max().unwrap_or(0);
    for (index, row) in rows.iter().enumerate() {
        let sign = sign(marked, index);
        if index > 0 {
            text.push('\n');
        }
        let mut cells = row.iter().map(String::as_str);
        indented(text, cells.next().unwrap_or_default(), sign, "  ");
        for (label, cell) in head.iter().skip(1).zip(cells) {
            let first = format!("    {label:<label_width$}   ");
            let rest = " ".repeat(first.chars().count());
            indented(text, cell, &first, &rest);
        }
    }
}

/// What stands in front of a row.
fn sign(marked: &[bool], index: usize) -> &'static str {
    if marked.get(index) == Some(&true) {
        "> "
    } else {
        "  "
    }
}

/// Columns share the width; long cells are broken at blanks.
fn table_text(text: &mut String, head: &[String], rows: &[Vec<String>], marked: &[bool]) {
    let longest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let mut widths: Vec<usize> = (0..head.len()).map(longest).collect();
    let room = WIDTH.saturating_sub(3 * head.len());
    if widths.iter().sum::<usize>() > ROWS_TALL * room {
        return records_text(text, head, rows, marked);
    }
    // A word is never broken, so that no column can be narrower than its longest one.
    let words = |text: &String| {
        text.split_whitespace()
            .map(|word| word.chars().count())
            .max()
    };
    let least: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| words(&row[column]));
            cells
                .max()
                .unwrap_or(0)
                .max(words(&head[column]).unwrap_or(0))
        })
        .collect();
    while widths.iter().sum::<usize>() > room {
        let wide = widths
            .iter_mut()
            .zip(&least)
            .filter(|(width, least)| **width > **least);
        let Some((widest, _)) = wide.max_by_key(|(width, _)| **width) else {
            break;
        };
        *widest -= 1;
    }
    let mut row_text = |row: &[String], sign: &str| {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| wrap(cell, *width))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let mut shown = if line == 0 {
                sign.to_owned()
            } else {
                "  ".to_owned()
            };
            for (cell, width) in cells.iter().zip(&widths) {
                let part = cell.get(line).map_or("", String::as_str);
                let _ = write!(shown, "{part:<width$}   ");
            }
            let _ = writeln!(text, "{}", shown.trim_end());
        }
    };
    row_text(head, "  ");
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    row_text(&rule, "  ");
    for (index, row) in rows.iter().enumerate() {
        row_text(row, sign(marked, index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        Document {
            schema: "test",
            name: "x".to_owned(),
            title: "A <title>".to_owned(),
            blocks: vec![
                Block::Drawing {
                    text: "a --> b".to_owned(),
                },
                Block::Statements {
                    items: vec![Statement {
                        text: "It is so.".to_owned(),
                        mark: Some("x"),
                        clauses: vec!["F6".to_owned()],
                        known: vec!["measured".to_owned()],
                        versions: None,
                        notes: vec!["see there".to_owned()],
                    }],
                },
                Block::Table {
                    head: vec!["one".to_owned(), "two".to_owned()],
                    rows: vec![vec!["a | b".to_owned(), "word ".repeat(30)]],
                    marked: vec![true],
                },
            ],
        }
    }

    #[test]
    fn each_form_has_everything() {
        insta::assert_snapshot!("document-text", document().text());
        insta::assert_snapshot!("document-markdown", document().markdown());
        insta::assert_snapshot!("document-html", document().html());
    }

    #[test]
    fn a_row_of_long_cells_is_read_downwards() {
        let cell = |letter: &str| vec![letter; 80].join(" ");
        let row = vec![cell("a"), cell("b"), cell("c")];
        let mut text = String::new();
        let head = ["symptom", "cause", "fix"].map(str::to_owned);
        table_text(&mut text, &head, &[row], &[true]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("> a a"), "{text}");
        assert!(lines[2].starts_with("    cause   b b"), "{text}");
        assert!(lines[3].starts_with("            b b"), "{text}");
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    }
}
