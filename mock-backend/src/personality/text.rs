//! What is printed: fields in braces, JSON documents with fields in their strings, and the part of Go's templates that
//! drivers use with `--format`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Named texts that templates are filled with.
pub(crate) type Fields = BTreeMap<String, String>;

/// Puts fields in the place of `{name}`. A name that is not known stays as it is.
pub(crate) fn fill(template: &str, fields: &Fields) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let field = after.split_once('}');
        if let Some((value, after)) =
            field.and_then(|(name, after)| Some((fields.get(name)?, after)))
        {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// Makes a JSON document of one in TOML. A string that is only a field may say what it becomes: `{code:number}`,
/// `{running:boolean}`, `{environment:list}` (one item a line), `{labels:map}` (one `name=value` a line).
pub(crate) fn document(template: &toml::Value, fields: &Fields) -> Value {
    match template {
        toml::Value::String(text) => typed(text, fields),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(value) => Value::from(*value),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.iter().map(|item| document(item, fields)).collect(),
        toml::Value::Table(table) => {
            let entries = table.iter();
            let filled = entries.map(|(key, value)| (key.clone(), document(value, fields)));
            Value::Object(filled.collect())
        }
    }
}

fn typed(text: &str, fields: &Fields) -> Value {
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let Some((name, kind)) = inside.and_then(|inside| inside.split_once(':')) else {
        return Value::from(fill(text, fields));
    };
    let value = fields.get(name).map_or("", String::as_str);
    let lines = value.lines().filter(|line| !line.is_empty());
    match kind {
        "number" => Value::from(value.parse::<i64>().unwrap_or_default()),
        "boolean" => Value::from(value == "true"),
        "list" => lines.map(Value::from).collect(),
        "map" => {
            let pairs = lines.map(|line| line.split_once('=').unwrap_or((line, "")));
            let entries = pairs.map(|(key, value)| (key.to_owned(), Value::from(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        _ => Value::from(fill(text, fields)),
    }
}

/// Fills a Go template with a document. Paths (`{{.State.Running}}`), `json`, `len`, `index` and `range` are known;
/// anything else is not emulated.
pub(crate) fn go_template(template: &str, document: &Value) -> Result<String, String> {
    let mut printed = String::new();
    let rest = section(template, document, &mut printed)?;
    match rest {
        None => Ok(printed),
        Some(_) => Err(format!(
            "the template {template:?}: an end without a beginning"
        )),
    }
}

/// Fills up to the end of a section; returns what follows it, if there was an end.
fn section<'a>(
    mut template: &'a str,
    document: &Value,
    printed: &mut String,
) -> Result<Option<&'a str>, String> {
    while let Some((before, after)) = template.split_once("{{") {
        printed.push_str(&before.replace("\\n", "\n").replace("\\t", "\t"));
        let Some((inside, after)) = after.split_once("}}") else {
            return Err(format!("the template {template:?}: a brace is missing"));
        };
        let words: Vec<&str> = inside.trim().trim_matches('-').split_whitespace().collect();
        match words.as_slice() {
            ["end"] => return Ok(Some(after)),
            ["range", path] => {
                let items = lookup(path, document)?;
                let items: Vec<&Value> = match items {
                    Value::Array(items) => items.iter().collect(),
                    Value::Object(map) => map.values().collect(),
                    _ => Vec::new(),
                };
                let mut rest = None;
                for item in &items {
                    rest = section(after, item, printed)?;
                }
                if items.is_empty() {
                    rest = section(after, &Value::Null, &mut String::new())?;
                }
                template = rest.ok_or("a range without an end")?;
                continue;
            }
            ["json", path] => printed.push_str(&lookup(path, document)?.to_string()),
            ["len", path] => printed.push_str(&length(lookup(path, document)?).to_string()),
            ["index", path, key] => {
                let value = lookup(path, document)?;
                printed.push_str(&shown(
                    value.get(key.trim_matches('"')).unwrap_or(&Value::Null),
                ));
            }
            [path] if path.starts_with('.') => printed.push_str(&shown(lookup(path, document)?)),
            [text] if text.starts_with('"') => printed.push_str(text.trim_matches('"')),
            _ => return Err(format!("the template {{{{{inside}}}}}")),
        }
        template = after;
    }
    printed.push_str(&template.replace("\\n", "\n").replace("\\t", "\t"));
    Ok(None)
}

fn lookup<'a>(path: &str, document: &'a Value) -> Result<&'a Value, String> {
    let Some(path) = path.strip_prefix('.') else {
        return Err(format!("the template {{{{{path}}}}}"));
    };
    let names = path.split('.').filter(|name| !name.is_empty());
    let mut value = document;
    for name in names {
        if document.is_null() {
            return Ok(document);
        }
        value = value
            .get(name)
            .ok_or_else(|| format!("the field .{path}"))?;
    }
    Ok(value)
}

fn length(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::String(text) => text.len(),
        _ => 0,
    }
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", shown(value)));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        [("name", "a"), ("code", "3"), ("env", "A=1\nB=2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn made() -> Value {
        let template = "Name = '{name}'\nState = { Code = '{code:number}', Up = '{up:boolean}' }
            Env = '{env:list}'\nLabels = '{env:map}'";
        document(&toml::from_str(template).expect("TOML"), &fields())
    }

    #[test]
    fn fields_are_filled_and_strange_braces_stay() {
        assert_eq!(fill("{name}: {none} {", &fields()), "a: {none} {");
    }

    #[test]
    fn documents_have_types() {
        let wanted = serde_json::json!({
            "Env": ["A=1", "B=2"],
            "Labels": {"A": "1", "B": "2"},
            "Name": "a",
            "State": {"Code": 3, "Up": false},
        });
        assert_eq!(made(), wanted);
    }

    #[test]
    fn templates_of_drivers_are_understood_and_others_refused() {
        let filled = |template| go_template(template, &made());
        assert_eq!(filled("{{.State.Code}}-{{ .Name }}"), Ok("3-a".into()));
        assert_eq!(
            filled("{{json .State}}"),
            Ok(r#"{"Code":3,"Up":false}"#.into())
        );
        assert_eq!(
            filled("{{range .Env}}{{.}};{{end}}x"),
            Ok("A=1;B=2;x".into())
        );
        assert_eq!(filled("{{index .Labels \"A\"}}"), Ok("1".into()));
        assert_eq!(filled("{{.Env}}"), Ok("[A=1 B=2]".into()));
        assert!(filled("{{.None}}").is_err());
        assert!(filled("{{if .Name}}x{{end}}").is_err());
    }
}
