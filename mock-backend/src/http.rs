//! The HTTP API of a backend, for personalities with routes: the same operations, answered with JSON.
//!
//! One server serves all cases; the first part of a path is the case. It answers one request at a time, so nothing in here
//! waits: what a fault delays, the answer is delayed for.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{io, thread};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

use crate::backend::{Backend, Case};
use crate::faults::Twists;
use crate::personality::operations::shown;
use crate::personality::text::document;
use crate::personality::{Parameters, Route, Shows, Verb};
use crate::protocol::ShimCall;
use crate::runtime::world::BOX;
use crate::session::{Answer, Scene, noted};

/// The name of the tool in the ledger.
pub const TOOL: &str = "http";
/// Objects on a page, if the caller does not say.
const PAGE_LENGTH: usize = 25;
/// Nobody waits that long.
const NEVER: Duration = Duration::from_hours(24);

/// Starts the server; it ends with the process.
pub(crate) fn start(backend: &Arc<Backend>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let api = Api(Arc::clone(backend));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ready, is_ready) = channel();
    let serving = move || {
        runtime.block_on(async {
            let server = MockServer::builder().listener(listener);
            let server = server.disable_request_recording().start().await;
            Mock::given(any()).respond_with(api).mount(&server).await;
            let _nobody_waits = ready.send(());
            std::future::pending::<()>().await;
        });
    };
    thread::Builder::new().spawn(serving)?;
    is_ready.recv().map_err(io::Error::other)?;
    Ok(address)
}

/// The token of a case.
pub(crate) fn token(tag: &str) -> String {
    format!("token-of-{tag}")
}

struct Api(Arc<Backend>);

impl Respond for Api {
    fn respond(&self, request: &wiremock::Request) -> ResponseTemplate {
        match self.serve(request) {
            Ok(response) => response,
            Err(error) => failure(500, "server_error", &error.to_string()),
        }
    }
}

fn failure(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let body = json!({ "error": { "code": code, "message": message } });
    ResponseTemplate::new(status).set_body_json(body)
}

impl Api {
    fn serve(&self, request: &wiremock::Request) -> io::Result<ResponseTemplate> {
        let backend = &self.0;
        let path = request.url.path().trim_matches('/');
        let (tag, path) = path.split_once('/').unwrap_or((path, ""));
        let Some(case) = backend.case(tag) else {
            return Ok(failure(404, "not_found", "there is no such API"));
        };
        let given = request.headers.get("authorization");
        let wanted = format!("Bearer {}", token(tag));
        if given.is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
            return Ok(failure(401, "unauthorized", "the token is not valid"));
        }
        let routes = backend.personality.routes().iter();
        let mut fitting = routes.filter(|route| route.method == request.method.as_str());
        let found = fitting.find_map(|route| Some((route, captured(&route.path, path)?)));
        let Some((route, parameters)) = found else {
            let what = format!("{} /{path}", request.method);
            case.lock().not_emulated.push(what.clone());
            return Ok(failure(
                501,
                "not_emulated",
                &format!("mock backend: not emulated: {what}"),
            ));
        };
        self.play(&case, route, parameters, request)
    }

    /// Does what a route says, with the faults that strike.
    fn play(
        &self,
        case: &Arc<Case>,
        route: &Route,
        mut parameters: Parameters,
        request: &wiremock::Request,
    ) -> io::Result<ResponseTemplate> {
        if let Err(problem) = read_body(route, &request.body, &mut parameters) {
            return Ok(failure(400, "invalid_input", &problem));
        }
        let verb = verb(route);
        let shim = ShimCall {
            directory: case.directory.clone(),
            program: TOOL.to_owned(),
            arguments: vec![verb.name().to_owned(), request.url.path().to_owned()],
            working_directory: case.directory.clone(),
            environment: Vec::new(),
        };
        // Who calls over TCP is not known; as a rule there is just one call.
        let caller = case.caller(0);
        let mut noted = noted(case, caller, &shim, verb.name());
        noted.sequence = self.0.ledger.request(noted.clone())?;
        let (client, _never_closed) = UnixStream::pair()?;
        let delay = Cell::new(Duration::ZERO);
        let scene = Scene {
            backend: &self.0,
            case,
            request: &noted,
            verb: &verb,
            parameters: &parameters,
            shim: &shim,
            client: &client,
            fault: Cell::new(0),
            http_delay: Some(&delay),
        };
        let answer = scene.play()?;
        let code = answer.as_ref().map(|answer| match answer.code {
            0 => i32::from(route.status),
            code => code,
        });
        self.0.ledger.result(noted.sequence, code)?;
        Ok(match answer {
            Some(answer) => response(&scene, route, &answer, request).set_delay(delay.get()),
            None => ResponseTemplate::new(500).set_delay(NEVER),
        })
    }
}

/// The verb that a route is.
fn verb(route: &Route) -> Verb {
    Verb {
        words: vec![format!("{} {}", route.method, route.path)],
        operation: route.operation.clone(),
        kind: route.kind.clone(),
        output: if route.shows == Shows::Object {
            "{id}\n".to_owned()
        } else {
            String::new()
        },
        ..Verb::default()
    }
}

/// The parameters in a path, if it is that of a route.
fn captured(pattern: &str, path: &str) -> Option<Parameters> {
    let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if pattern.len() != parts.len() {
        return None;
    }
    let mut parameters = Parameters::default();
    for (pattern, part) in pattern.iter().zip(parts) {
        let name = pattern
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => parameters.add(name, part),
            None if *pattern == part => {}
            None => return None,
        }
    }
    Some(parameters)
}

/// Takes the parameters out of a body.
fn read_body(route: &Route, body: &[u8], into: &mut Parameters) -> Result<(), String> {
    for (name, value) in &route.with {
        into.add(name, value);
    }
    if route.body.is_empty() {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    for (key, parameter) in &route.body {
        match body.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => into.add(parameter, text),
            Some(Value::Object(map)) => {
                for (name, value) in map {
                    let value = value.as_str().unwrap_or_default();
                    into.add(parameter, &format!("{name}={value}"));
                }
            }
            Some(other) => into.add(parameter, &other.to_string()),
        }
    }
    Ok(())
}

fn response(
    scene: &Scene<'_>,
    route: &Route,
    answer: &Answer,
    request: &wiremock::Request,
) -> ResponseTemplate {
    if answer.code != 0 {
        let status = u16::try_from(answer.code).ok();
        let status = status
            .filter(|status| (100..600).contains(status))
            .unwrap_or(500);
        let mut response =
            ResponseTemplate::new(status).set_body_raw(answer.errors.clone(), "application/json");
        for (name, value) in &answer.headers {
            response = response.insert_header(name.as_str(), value.as_str());
        }
        return response;
    }
    let shown = match route.shows {
        Shows::Nothing => return ResponseTemplate::new(route.status),
        Shows::Object => object(scene, route, answer),
        Shows::List => page(answer, request),
    };
    match shown {
        Some(body) => ResponseTemplate::new(route.status).set_body_json(body),
        // A fault has spoilt it.
        None => ResponseTemplate::new(route.status)
            .set_body_raw(answer.output.clone(), "application/json"),
    }
}

/// The document of the object whose id was printed.
fn object(scene: &Scene<'_>, route: &Route, answer: &Answer) -> Option<Value> {
    let kind = if route.kind.is_empty() {
        BOX
    } else {
        &route.kind
    };
    let id = std::str::from_utf8(&answer.output).ok()?.trim();
    let state = scene.case.lock();
    let object = state.world.find(kind, id).ok()?.clone();
    drop(state);
    let template = scene.backend.personality.document(kind)?;
    let fields = shown::fields(scene, &object, &Twists::default());
    Some(document(template, &fields))
}

/// A page of the documents that were printed: `?page=2&per_page=10`.
fn page(answer: &Answer, request: &wiremock::Request) -> Option<Value> {
    let all: Vec<Value> = serde_json::from_slice(&answer.output).ok()?;
    let number = |name: &str| {
        let mut pairs = request.url.query_pairs();
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        value.parse::<usize>().ok().filter(|number| *number > 0)
    };
    let (page, length) = (
        number("page").unwrap_or(1),
        number("per_page").unwrap_or(PAGE_LENGTH),
    );
    let total = all.len();
    let items: Vec<Value> = all
        .into_iter()
        .skip((page - 1) * length)
        .take(length)
        .collect();
    let next = (page * length < total).then_some(page + 1);
    Some(json!({ "items": items, "total": total, "page": page, "next_page": next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_its_route_and_names_its_parts() {
        let found = captured("/v1/instances/{name}", "v1/instances/a").expect("fits");
        assert_eq!(found.last("name"), Some("a"));
        assert!(captured("/v1/instances/{name}", "v1/instances").is_none());
        assert!(captured("/v1/instances", "v1/images").is_none());
    }
}
