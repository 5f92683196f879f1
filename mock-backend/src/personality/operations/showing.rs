//! Listing and inspecting objects.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::faults::Twists;
use crate::personality::text::{Fields, document, fill, go_template};
use crate::runtime::world::{BOX, Object, Refusal, State, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, each, found};

/// How often a caller that waits for an address is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Lists the objects of a kind.
pub(super) fn list(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let (parameters, verb) = (scene.parameters, scene.verb);
    let state = scene.case.lock();
    let all: Vec<Object> = state
        .view(twists.stale)
        .of_kind(&verb.kind)
        .cloned()
        .collect();
    drop(state);
    let mut rows = Vec::new();
    for object in &all {
        let hidden = parameters.has("only-running")
            || (!parameters.has("all") && parameters.has("hides-stopped"));
        if hidden && !object.state.is_up() {
            continue;
        }
        let fields = fields(scene, object, twists);
        if passes(parameters.all("filter"), object)? && passes_name(parameters.all("name"), object)
        {
            rows.push(fields);
        }
    }
    if let Some(format) = parameters.last("format") {
        return formatted(scene, format, &rows);
    }
    let (heading, row) = match &verb.quiet {
        Some(quiet) if parameters.has("quiet") => ("", quiet),
        _ => (verb.heading.as_str(), &verb.output),
    };
    let lines = rows.iter().map(|fields| fill(row, fields));
    Ok(Answer {
        output: format!("{heading}{}", lines.collect::<String>()).into_bytes(),
        ..Answer::default()
    })
}

/// `--filter NAME=VALUE`: all must hold. A name is looked for anywhere in the names, as real tools do.
fn passes(filters: &[String], object: &Object) -> Result<bool, Trouble> {
    let labels = object
        .attributes
        .get("label")
        .map_or(&[][..], Vec::as_slice);
    for filter in filters {
        let (name, value) = filter.split_once('=').unwrap_or((filter, ""));
        let holds = match name {
            "name" => match (value.strip_prefix('^'), value.strip_suffix('$')) {
                (Some(_), Some(_)) => object.name == value.trim_matches(['^', '$']),
                (Some(start), None) => object.name.starts_with(start),
                (None, Some(end)) => object.name.ends_with(end),
                (None, None) => object.name.contains(value),
            },
            "id" => object.id.starts_with(value),
            "label" => labels.iter().any(|label| {
                label == value || label.split_once('=').is_some_and(|(name, _)| name == value)
            }),
            "status" => match value {
                "running" => object.state.is_up(),
                "exited" | "stopped" => matches!(object.state, State::Stopped { .. }),
                "created" => object.state == State::Created,
                _ => false,
            },
            _ => return Err(Trouble::NotEmulated(format!("the filter {name}"))),
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn passes_name(names: &[String], object: &Object) -> bool {
    names.is_empty() || names.iter().any(|name| object.name.contains(name))
}

/// The document of an object.
fn shown(scene: &Scene<'_>, fields: &Fields) -> Result<Value, Trouble> {
    let name = scene.verb.document.as_ref().unwrap_or(&scene.verb.kind);
    let template = scene.backend.personality.document(name);
    let template = template.ok_or_else(|| Trouble::NotEmulated(format!("the document {name}")))?;
    Ok(document(template, fields))
}

fn formatted(scene: &Scene<'_>, format: &str, rows: &[Fields]) -> Result<Answer, Trouble> {
    let documents: Result<Vec<Value>, Trouble> = rows.iter().map(|row| shown(scene, row)).collect();
    let documents = documents?;
    let text = if format == "json" {
        let all = Value::Array(documents);
        format!(
            "{}\n",
            serde_json::to_string_pretty(&all).unwrap_or_default()
        )
    } else {
        let format = format.strip_prefix("table ").unwrap_or(format);
        let mut text = String::new();
        for document in &documents {
            text += &go_template(format, document).map_err(Trouble::NotEmulated)?;
            text.push('\n');
        }
        text
    };
    Ok(Answer {
        output: text.into_bytes(),
        ..Answer::default()
    })
}

/// Shows objects as JSON, or as the caller's template says. Several kinds may be looked through.
pub(super) fn inspect(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let kinds: Vec<String> = match parameters.last("type") {
        Some("container") => vec![BOX.to_owned()],
        Some(kind) => vec![kind.to_owned()],
        None => scene.verb.kind.split(' ').map(str::to_owned).collect(),
    };
    let mut documents = Vec::new();
    let mut answer = Answer::default();
    for name in parameters.all("name") {
        let mut state = scene.case.lock();
        let view = state.view(twists.stale);
        let found = kinds
            .iter()
            .find_map(|kind| found(scene, view, kind, name).ok());
        let Some(object) = found.cloned() else {
            let first = kinds.first().map_or(BOX, String::as_str);
            let refusal = Refusal::new(reason::ABSENT, first, name, "there is none");
            let refused = scene.refused(&refusal);
            answer.errors.extend(refused.errors);
            answer.output.extend(refused.output);
            answer.code = refused.code;
            continue;
        };
        // Whoever looks at a box brings it nearer to being ready.
        state.world.poll(&object.id);
        drop(state);
        let fields = fields(scene, &object, twists);
        let name = scene.verb.document.as_deref().unwrap_or(&object.kind);
        let template = scene.backend.personality.document(name);
        let template =
            template.ok_or_else(|| Trouble::NotEmulated(format!("the document {name}")))?;
        documents.push(document(template, &fields));
    }
    match parameters.last("format") {
        Some(format) if format != "json" => {
            for document in &documents {
                let text = go_template(format, document).map_err(Trouble::NotEmulated)?;
                answer.output.extend(text.bytes().chain([b'\n']));
            }
        }
        _ if !documents.is_empty() => {
            let all = Value::Array(documents);
            let text = serde_json::to_string_pretty(&all).unwrap_or_default();
            answer.output.extend(text.bytes().chain([b'\n']));
        }
        _ => {}
    }
    Ok(answer)
}

/// Says by its code alone whether there is an object.
#[expect(clippy::unnecessary_wraps, reason = "all operations may")]
pub(super) fn exists(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let name = scene.parameters.last("name").unwrap_or_default();
    let state = scene.case.lock();
    let found = state.view(twists.stale).find(&scene.verb.kind, name);
    Ok(Answer {
        code: i32::from(found.is_err()),
        ..Answer::default()
    })
}

/// Prints what the main program of a box has printed.
pub(super) fn logs(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    let name = scene.parameters.last("name").unwrap_or_default();
    let state = scene.case.lock();
    let id = state.world.find(BOX, name)?.id.clone();
    drop(state);
    let log = scene.case.box_directory(&id).join("log");
    Ok(Answer {
        output: fs::read(log).unwrap_or_default(),
        ..Answer::default()
    })
}

/// Prints the address of a box, once it is ready; for that it waits up to `wait-s` seconds.
pub(super) fn address(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let mut answer = addresses(scene, twists)?;
    if answer.code == 0 && !scene.parameters.has("quiet") {
        answer.output.splice(0..0, scene.verb.heading.bytes());
    }
    Ok(answer)
}

fn addresses(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    each(scene, scene.parameters.all("name"), |name| {
        let seconds = scene.parameters.number("wait-s").unwrap_or(0);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut state = scene.case.lock();
        let id = state.world.find(BOX, name)?.id.clone();
        let ready = loop {
            let ready = state.world.poll(&id) == Some(State::Running);
            let over = Instant::now() >= deadline;
            if ready || over || scene.client_leaves_within(Duration::ZERO, || false) {
                break ready;
            }
            state = scene.case.wait(state, LOOK);
        };
        let object = state.world.find(BOX, &id)?.clone();
        drop(state);
        if !object.state.is_up() {
            return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
        }
        if !ready {
            if scene.parameters.has("silent-until-ready") {
                return Ok(None);
            }
            return Err(
                Refusal::of(reason::NOT_READY, &object, name, "it has no address yet").into(),
            );
        }
        Ok(Some(fields(scene, &object, twists)))
    })
}
