//! YAML as GitLab reads it: anchors, merge keys and `!reference`, each value with its place.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use yaml_rust2::Event;
use yaml_rust2::parser::{MarkedEventReceiver, Parser, Tag};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use crate::driver::{Problem, SourceFile};

/// Most values in one file, aliases counted as often as they are used: a few lines can stand for billions.
const NODES_MAX: usize = 200_000;

/// Where a value begins.
#[derive(Debug, Clone)]
pub(super) struct Place {
    file: Arc<SourceFile>,
    /// From 1.
    line: usize,
    /// In characters, from 0.
    column: usize,
}

impl Place {
    fn new(file: &Arc<SourceFile>, mark: &Marker) -> Self {
        Self {
            file: Arc::clone(file),
            line: mark.line(),
            column: mark.col(),
        }
    }

    /// A problem of what stands here.
    pub(super) fn problem(&self, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        let text = &self.file.text;
        let before = text.split_inclusive('\n').take(self.line.saturating_sub(1));
        let line_start: usize = before.map(str::len).sum();
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = line.char_indices().nth(self.column);
        let start = line_start + column.map_or(line.len(), |(at, _)| at);
        Problem::new(message, remedy).at(&self.file, start..line_start + line.len(), "here")
    }
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Nothing.
    Null,
    /// Text, number or boolean.
    Scalar {
        /// As written, without quotes.
        text: String,
        /// Whether it can only be text.
        quoted: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// A table, in the order of the file.
    Mapping(Vec<(String, Node)>),
    /// `!reference [job, key, …]`
    Reference(Vec<String>),
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

impl Node {
    /// The member of a table; `None` also if this is no table.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
    }

    /// The members of a table, none if it is none.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Whether this is a table.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.kind, Kind::Mapping(_))
    }

    /// Text, number or boolean, as written.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Scalar { text, quoted: true } => Value::String(text.clone()),
            Kind::Scalar { text, .. } => plain(text),
            Kind::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Kind::Mapping(entries) => {
                let members = entries
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Kind::Reference(path) => Value::from(path.clone()),
        }
    }
}

fn plain(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

/// Reads a file: its last document, since a header with the inputs of the pipeline may come before it.
pub(super) fn read(file: &Arc<SourceFile>) -> Result<Option<Node>, Problem> {
    let mut builder = Builder {
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
        nodes: 0,
        problem: None,
    };
    let parsed = Parser::new_from_str(&file.text).load(&mut builder, true);
    if let Err(error) = parsed {
        let place = Place::new(file, error.marker());
        return Err(place.problem(
            format!("{} is not YAML: {}", file.path.display(), error.info()),
            "mend the YAML; indentation and quotes are the usual causes",
        ));
    }
    match builder.problem {
        Some(problem) => Err(problem),
        None => Ok(builder.documents.pop()),
    }
}

/// A list or a table that is not complete yet.
struct Open {
    place: Place,
    anchor: usize,
    is_reference: bool,
    items: Vec<Node>,
    /// Of a table.
    entries: Option<Vec<(String, Node)>>,
    key: Option<Node>,
}

/// Makes values of the parser's events.
struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: Vec<Node>,
    nodes: usize,
    problem: Option<Problem>,
}

impl MarkedEventReceiver for Builder<'_> {
    fn on_event(&mut self, event: Event, mark: Marker) {
        if self.problem.is_some() {
            return;
        }
        let place = Place::new(self.file, &mark);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != TScalarStyle::Plain;
                let kind = if !quoted && matches!(text.as_str(), "" | "~" | "null") {
                    Kind::Null
                } else {
                    Kind::Scalar { text, quoted }
                };
                let node = Node { kind, place };
                self.remember(anchor, &node);
                self.complete(node, 1);
            }
            Event::SequenceStart(anchor, tag) => self.begin(place, anchor, tag.as_ref(), None),
            Event::MappingStart(anchor, tag) => {
                self.begin(place, anchor, tag.as_ref(), Some(Vec::new()));
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.repeat(anchor, &place),
            _ => {}
        }
    }
}

impl Builder<'_> {
    fn begin(
        &mut self,
        place: Place,
        anchor: usize,
        tag: Option<&Tag>,
        entries: Option<Vec<(String, Node)>>,
    ) {
        self.open.push(Open {
            place,
            anchor,
            is_reference: tag.is_some_and(|tag| tag.suffix == "reference"),
            items: Vec::new(),
            entries,
            key: None,
        });
    }

    fn repeat(&mut self, anchor: usize, place: &Place) {
        if let Some(node) = self.anchors.get(&anchor).cloned() {
            let nodes = count(&node);
            self.complete(node, nodes);
        } else {
            let remedy = "name an anchor (&name) whose value is complete before this line";
            self.problem = Some(place.problem("this alias has no anchor", remedy));
        }
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let kind = match open.entries {
            Some(entries) => Kind::Mapping(merged(entries)),
            None if open.is_reference => {
                Kind::Reference(texts(&open.items).map(str::to_owned).collect())
            }
            None => Kind::Sequence(open.items),
        };
        let node = Node {
            kind,
            place: open.place,
        };
        self.remember(open.anchor, &node);
        // What is inside was counted when it came.
        self.complete(node, 1);
    }

    /// The parser numbers anchors from 1; 0: there is none.
    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn complete(&mut self, node: Node, nodes: usize) {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("there are more than {NODES_MAX} values up to here");
            let remedy = "use fewer aliases inside of what aliases stand for";
            self.problem = Some(node.place.problem(message, remedy));
            return;
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match (&mut open.entries, open.key.take()) {
            (None, _) => open.items.push(node),
            (Some(entries), None) => {
                if entries.is_empty() {
                    open.place = node.place.clone();
                }
                open.key = Some(node);
            }
            (Some(entries), Some(key)) => {
                if let Kind::Scalar { text, .. } = key.kind {
                    entries.push((text, node));
                } else {
                    let remedy = "use a plain word as the key";
                    self.problem = Some(key.place.problem("this key is not text", remedy));
                }
            }
        }
    }
}

/// The texts among these values.
pub(super) fn texts(items: &[Node]) -> impl Iterator<Item = &str> {
    items.iter().filter_map(Node::text)
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Sequence(items) => items.iter().map(count).sum(),
        Kind::Mapping(entries) => entries.iter().map(|(_, node)| count(node)).sum(),
        _ => 0,
    }
}

/// Merge keys (`<<`) applied: what is written wins, of several sources the first. Of a key that is there twice the last counts.
fn merged(written: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let mut result: Vec<(String, Node)> = Vec::new();
    let mut sources: Vec<(String, Node)> = Vec::new();
    for (key, node) in written {
        match &node.kind {
            Kind::Mapping(entries) if key == "<<" => sources.extend(entries.iter().cloned()),
            Kind::Sequence(items) if key == "<<" => {
                sources.extend(items.iter().flat_map(Node::entries).cloned());
            }
            _ => {
                result.retain(|(known, _)| *known != key);
                result.push((key, node));
            }
        }
    }
    for (key, node) in sources {
        if !result.iter().any(|(known, _)| *known == key) {
            result.push((key, node));
        }
    }
    result
}
