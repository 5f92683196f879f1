//! Axes: which there are, their combinations, and their values put into a scenario.

use toml::{Table, Value};

use crate::error::{ScenarioError, line_of};

/// One axis and its values, in the order of the file.
pub(crate) type Axis = (String, Vec<Value>);

/// One value for each axis.
pub(crate) type Values = Vec<(String, Value)>;

/// The axes of a scenario document.
pub(crate) fn axes(path: &str, text: &str, document: &Table) -> Result<Vec<Axis>, ScenarioError> {
    let Some(axes) = document.get("axes") else {
        return Ok(Vec::new());
    };
    let wrong = |word: &str| {
        let line = line_of(text, text.find(word).unwrap_or(0));
        let problem = format!("`{word}` must hold a list of values");
        ScenarioError::new(path, line, &problem, "write for example: code = [1, 2]")
    };
    let table = axes.as_table().ok_or_else(|| wrong("axes"))?;
    table
        .iter()
        .map(|(name, values)| match values.as_array() {
            Some(values) if !values.is_empty() => Ok((name.clone(), values.clone())),
            _ => Err(wrong(name)),
        })
        .collect()
}

/// All combinations; the last axis changes fastest.
pub(crate) fn combinations(axes: &[Axis]) -> Vec<Values> {
    axes.iter().fold(vec![Vec::new()], |done, (name, values)| {
        done.iter()
            .flat_map(|begun: &Values| {
                values.iter().map(move |value| {
                    let mut longer = begun.clone();
                    longer.push((name.clone(), value.clone()));
                    longer
                })
            })
            .collect()
    })
}

/// A value as it stands in a case name. A value that makes no good name is written `{ name = "…", value = … }`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Table(table) => table.get("name").map_or_else(|| value.to_string(), plain),
        other => other.to_string(),
    }
}

/// A value as it is put into the scenario.
fn meant(value: &Value) -> Value {
    match value {
        Value::Table(table) => table.get("value").unwrap_or(value).clone(),
        other => other.clone(),
    }
}

/// The document with `{axis}` replaced by the axis' value. A string that is nothing but a placeholder takes the value
/// with its type, so that `exit = "{code}"` gives a number.
pub(crate) fn fill(
    path: &str,
    text: &str,
    document: &Table,
    values: &Values,
) -> Result<Table, ScenarioError> {
    let mut filled = Table::new();
    for (key, value) in document.iter().filter(|(key, _)| *key != "axes") {
        filled.insert(key.clone(), fill_value(path, text, value, values)?);
    }
    Ok(filled)
}

fn fill_value(
    path: &str,
    text: &str,
    value: &Value,
    values: &Values,
) -> Result<Value, ScenarioError> {
    match value {
        Value::String(string) => fill_string(path, text, string, values),
        Value::Array(items) => items
            .iter()
            .map(|item| fill_value(path, text, item, values))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
        Value::Table(table) => fill(path, text, table, values).map(Value::Table),
        other => Ok(other.clone()),
    }
}

fn fill_string(
    path: &str,
    text: &str,
    string: &str,
    values: &Values,
) -> Result<Value, ScenarioError> {
    let Some(word) = placeholder(string) else {
        return Ok(Value::String(string.to_owned()));
    };
    let Some((_, value)) = values.iter().find(|(name, _)| name == word) else {
        let line = line_of(text, text.find(&format!("{{{word}}}")).unwrap_or(0));
        let problem = format!("`{{{word}}}` is not an axis of this scenario");
        return Err(ScenarioError::new(
            path,
            line,
            &problem,
            "name it under [axes]",
        ));
    };
    if string.len() == word.len() + 2 {
        return Ok(meant(value));
    }
    let replaced = string.replace(&format!("{{{word}}}"), &plain(&meant(value)));
    fill_string(path, text, &replaced, values)
}

/// The word of the first `{word}`; braces around anything but a lower-case word (shell text in a variable) are left alone.
fn placeholder(string: &str) -> Option<&str> {
    string.split('{').skip(1).find_map(|rest| {
        let (word, _) = rest.split_once('}')?;
        let is_word = !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_word.then_some(word)
    })
}
