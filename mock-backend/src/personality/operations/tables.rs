//! Tables whose columns the caller chooses.

use crate::faults::Twists;
use crate::personality::text::{Fields, document, fill};
use crate::runtime::world::{BOX, Object};
use crate::session::{Answer, Scene};

use super::Trouble;
use super::shown::fields;

/// Fewest letters of a column in a table for people.
const WIDTH: usize = 10;

/// Lists objects in the columns that are asked for, or as JSON. A name that is given is the beginning of a name.
pub(super) fn table(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let kind = match scene.verb.kind.as_str() {
        "" => BOX,
        kind => kind,
    };
    let state = scene.case.lock();
    let named = |object: &&Object| {
        let names = parameters.all("name");
        names.is_empty() || names.iter().any(|name| object.name.starts_with(name))
    };
    let hidden = |object: &Object| parameters.has("only-running") && !object.state.is_up();
    let all = state.view(twists.stale).of_kind(kind).filter(named);
    let all: Vec<Object> = all.filter(|object| !hidden(object)).cloned().collect();
    drop(state);
    let rows: Vec<Fields> = all
        .iter()
        .map(|object| fields(scene, object, twists))
        .collect();
    if parameters.last("format") == Some("json") {
        return json(scene, kind, &rows);
    }
    print(scene, &rows)
}

fn json(scene: &Scene<'_>, kind: &str, rows: &[Fields]) -> Result<Answer, Trouble> {
    let name = scene.verb.document.as_deref().unwrap_or(kind);
    let template = scene.backend.personality.document(name);
    let template = template.ok_or_else(|| Trouble::NotEmulated(format!("the document {name}")))?;
    let all: serde_json::Value = rows.iter().map(|row| document(template, row)).collect();
    let text = serde_json::to_string(&all).unwrap_or_default();
    Ok(Answer {
        output: format!("{text}\n").into_bytes(),
        ..Answer::default()
    })
}

/// Prints rows as the caller wants them: `csv`, `pipes` between, or for people.
pub(super) fn print(scene: &Scene<'_>, rows: &[Fields]) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    if let Some(format) = parameters.last("percent") {
        return by_letters(scene, format, rows);
    }
    if let Some(quiet) = scene
        .verb
        .quiet
        .as_ref()
        .filter(|_| parameters.has("quiet"))
    {
        let lines = rows.iter().map(|row| fill(quiet, row));
        return Ok(Answer {
            output: lines.collect::<String>().into_bytes(),
            ..Answer::default()
        });
    }
    let columns = columns(scene)?;
    let separator = match parameters.last("format") {
        Some("csv") => Some(","),
        _ if parameters.has("pipes") => Some("|"),
        None | Some("table" | "compact" | "text") => None,
        Some(other) => return Err(Trouble::NotEmulated(format!("the format {other}"))),
    };
    let line = |cells: Vec<String>| {
        separator.map_or_else(|| padded(&cells), |mark| cells.join(mark) + "\n")
    };
    let mut text = String::new();
    let no_heading = parameters.has("no-heading") || parameters.last("format") == Some("csv");
    if !no_heading {
        text += &line(columns.iter().map(|(name, _)| name.clone()).collect());
    }
    for row in rows {
        text += &line(columns.iter().map(|(_, cell)| fill(cell, row)).collect());
    }
    Ok(Answer {
        output: text.into_bytes(),
        ..Answer::default()
    })
}

/// A line for people: the first column is flush left, the others are flush right.
fn padded(cells: &[String]) -> String {
    let cells = cells.iter().enumerate();
    let padded = cells.map(|(at, cell)| match at {
        0 => format!("{cell:<WIDTH$}"),
        _ => format!("{cell:>WIDTH$}"),
    });
    padded.collect::<Vec<_>>().join(" ") + " \n"
}

/// Prints rows by a format like `%i %.10T`, whose letters are columns of that name.
fn by_letters(scene: &Scene<'_>, format: &str, rows: &[Fields]) -> Result<Answer, Trouble> {
    let mut template = String::new();
    let mut heading = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            template.push(letter);
            heading.push(letter);
            continue;
        }
        let name = letters.find(|letter| !letter.is_ascii_digit() && *letter != '.');
        let name = format!("%{}", name.map(String::from).unwrap_or_default());
        let cell = scene.verb.columns.get(&name);
        template += cell.ok_or_else(|| Trouble::NotEmulated(format!("the column {name}")))?;
        heading += &name;
    }
    let mut text = String::new();
    if !scene.parameters.has("no-heading") {
        text += &(heading + "\n");
    }
    for row in rows {
        text += &(fill(&template, row) + "\n");
    }
    Ok(Answer {
        output: text.into_bytes(),
        ..Answer::default()
    })
}

/// The columns that are asked for, with what is in them.
fn columns(scene: &Scene<'_>) -> Result<Vec<(String, String)>, Trouble> {
    let known = &scene.verb.columns;
    let asked = scene.parameters.last("columns").unwrap_or_default();
    let letters = known.keys().all(|name| name.chars().count() == 1);
    let names: Vec<String> = if letters {
        let letters = asked.chars().filter(|letter| letter.is_alphanumeric());
        letters.map(String::from).collect()
    } else {
        let names = asked.split(',').filter(|name| !name.is_empty());
        let plain = names.map(|name| name.split('%').next().unwrap_or(name));
        plain.map(str::to_owned).collect()
    };
    let find = |name: String| {
        let exact = known.get_key_value(&name);
        let found = exact.or_else(|| {
            known
                .iter()
                .find(|(one, _)| one.eq_ignore_ascii_case(&name))
        });
        match found {
            Some((name, cell)) => Ok((name.clone(), cell.clone())),
            None => Err(Trouble::NotEmulated(format!("the column {name}"))),
        }
    };
    names.into_iter().map(find).collect()
}
