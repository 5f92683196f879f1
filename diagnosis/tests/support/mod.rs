//! Logs of a real runner, from the golden traces: placeholders become what a log has there.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Seconds since 1970 at which every log begins.
const STARTED_AT: u64 = 1_795_478_400;

/// The directory of the golden traces.
pub(crate) fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/traces/19.4")
}

/// The names of all of them.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(traces())
        .expect("the traces are there")
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

/// One golden trace.
pub(crate) struct Trace {
    document: Value,
}

impl Trace {
    /// Reads one.
    pub(crate) fn read(name: &str) -> Self {
        let path = traces().join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Bytes that are no UTF-8 are lone surrogates in the traces.
        let text = text.replace("\\udc", "\\uf7");
        let document =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { document }
    }

    /// The log of the first job, as the runner sent it.
    pub(crate) fn job_log(&self) -> String {
        filled(&text_of(&self.document["jobs"][0]["trace"]))
    }

    /// The log of the runner, in its usual format.
    pub(crate) fn runner_log(&self) -> String {
        let lines = self.document["runner_log"].as_array().into_iter().flatten();
        let lines: Vec<String> = lines.map(|line| filled(&text_of(line))).collect();
        lines.join("\n") + "\n"
    }

    /// What the runner sent as the final state.
    pub(crate) fn state(&self) -> &str {
        self.document["outcome"]["state"].as_str().unwrap_or("none")
    }

    /// The calls in order, each with how it ended unless that was exit 0.
    pub(crate) fn sequence(&self) -> Vec<String> {
        let calls = self.document["sequence"].as_array().into_iter().flatten();
        calls
            .filter_map(|call| call.as_str().map(str::to_owned))
            .collect()
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => {
            let repeat = object.get("$repeat").and_then(Value::as_array);
            let parts = repeat.map(Vec::as_slice).unwrap_or_default();
            match parts {
                [Value::String(text), count] => {
                    text.repeat(usize::try_from(count.as_u64().unwrap_or(0)).unwrap_or(0))
                }
                _ => String::new(),
            }
        }
        Value::Array(parts) => parts.iter().map(text_of).collect(),
        _ => String::new(),
    }
}

/// Puts real values in place of the placeholders; time goes on by a millisecond a line.
fn filled(text: &str) -> String {
    let mut out = String::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let second = index / 1000;
        let stamp = format!(
            "2026-11-24T00:{:02}:{:02}.{:03}000Z",
            second / 60 % 60,
            second % 60,
            index % 1000
        );
        let line = line
            .replace("<TS>", &stamp)
            .replace("<T>", &(STARTED_AT + second as u64).to_string())
            .replace("<PID>", "4711")
            .replace("<TMP1>", "/tmp/custom-executor1234567")
            .replace("<TMP2>", "/tmp/custom-executor7654321")
            .replace("script<R>", "script42")
            .replace("<WORK>", "/srv/lab")
            .replace("<HOST>", "gitlab.example.com");
        out.push_str(&line);
    }
    out
}
