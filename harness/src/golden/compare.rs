//! Comparing a replay with the recording (golden README, "Comparing").

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Moments may differ by this much, seconds.
const TOLERANCE_S: f64 = 0.15;
/// Waits over [`LONG_WAIT_S`] may differ by this share.
const TOLERANCE_SHARE: f64 = 0.03;
/// What counts as a long wait, seconds.
const LONG_WAIT_S: f64 = 5.0;

/// Fields of a call that a recording leaves out when the call before it in the job had the same value.
const CARRIED_FIELDS: [&str; 13] = [
    "cwd",
    "env_own",
    "env_sel",
    "custom_env_count",
    "job",
    "argv",
    "env_dups",
    "tmp_mode",
    "fds",
    "stdout_is_stderr",
    "own_group",
    "same_session_as_runner",
    "job_response",
];

/// Fields of a call that only a replay with real processes has: a recording driver writes them, a simulated one cannot.
pub const REAL_PROCESS_FIELDS: [&str; 7] = [
    "env_dups",
    "tmp_mode",
    "fds",
    "stdout_is_stderr",
    "own_group",
    "same_session_as_runner",
    "job_response",
];

/// Whether moments are part of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// When signals came, and pauses between calls.
    Compared,
    /// Left out: the replay's runner had other pauses, or a clock that others keep waiting.
    LeftOut,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: `sequence`, `outcome`, `call 3 (run get_sources): argv`.
    pub place: String,
    /// What the recording says.
    pub recorded: String,
    /// What the replay says.
    pub replayed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.place)?;
        writeln!(formatter, "  recorded: {}", self.recorded)?;
        write!(formatter, "  replayed: {}", self.replayed)
    }
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What must be equal and is not.
    pub differences: Vec<Difference>,
    /// Job-log lines that are equal.
    pub job_log: LineCount,
    /// Runner-log lines that are equal.
    pub runner_log: LineCount,
    /// Job-log lines that only one side has.
    pub job_log_differences: Vec<String>,
    /// Runner-log lines that only one side has.
    pub runner_log_differences: Vec<String>,
}

/// How many lines are equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCount {
    /// Lines of the recording that the replay has in the same place.
    pub equal: usize,
    /// Lines of the recording.
    pub recorded: usize,
}

impl LineCount {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.recorded += other.recorded;
    }

    /// Share of equal lines, percent.
    pub fn percent(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "line counts are far below 2^52")]
        let share = self.equal as f64 / (self.recorded.max(1)) as f64;
        share * 100.0
    }
}

/// Compares a recording with the replay of its inputs; both in the form of a golden trace.
pub fn compare(recorded: &Value, replayed: &Value, moments: Moments) -> Comparison {
    let mut comparison = Comparison::default();
    let recorded_calls = calls_by_job(recorded);
    let replayed_calls = calls_by_job(replayed);
    compare_sequences(
        &recorded_calls,
        &replayed_calls,
        &mut comparison.differences,
    );
    compare_summaries(recorded, replayed, &mut comparison.differences);
    expect_equal(
        "outcome",
        &recorded["outcome"],
        &replayed["outcome"],
        &mut comparison.differences,
    );
    compare_outcomes(recorded, replayed, &mut comparison.differences);
    if comparison
        .differences
        .iter()
        .all(|difference| !difference.place.starts_with("sequence"))
    {
        for (job, calls) in &recorded_calls {
            let others = replayed_calls
                .get(job)
                .map(Vec::as_slice)
                .unwrap_or_default();
            for (call, other) in calls.iter().zip(others) {
                compare_call(call, other, moments, &mut comparison.differences);
            }
        }
        if recorded_calls.len() <= 1 && moments == Moments::Compared {
            compare_gaps(recorded, replayed, &mut comparison.differences);
        }
    }
    compare_logs(recorded, replayed, &mut comparison);
    comparison
}

type Call = serde_json::Map<String, Value>;

/// The calls of each job, with the fields filled in that a recording leaves out.
fn calls_by_job(document: &Value) -> BTreeMap<String, Vec<Call>> {
    let mut previous = Call::new();
    let mut jobs: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for call in document["calls"].as_array().into_iter().flatten() {
        let mut call = call.as_object().cloned().unwrap_or_default();
        for field in CARRIED_FIELDS {
            if let (false, Some(value)) = (call.contains_key(field), previous.get(field)) {
                call.insert(field.to_owned(), value.clone());
            }
        }
        previous.clone_from(&call);
        let job = call.get("job").map(Value::to_string).unwrap_or_default();
        jobs.entry(job).or_default().push(call);
    }
    for calls in jobs.values_mut() {
        renumber_directories(calls);
    }
    jobs
}

/// Numbers the temporary directories of each job from 1: which of two jobs makes its first is chance.
fn renumber_directories(calls: &mut [Call]) {
    let mut seen: Vec<String> = Vec::new();
    for call in calls.iter() {
        let directory = call.get("cwd").map(text).unwrap_or_default();
        if directory.starts_with("<TMP") && !seen.contains(&directory) {
            seen.push(directory);
        }
    }
    for call in calls.iter_mut() {
        let mut document = Value::Object(std::mem::take(call)).to_string();
        for (index, name) in seen.iter().enumerate() {
            document = document.replace(name, &format!("<DIR{}>", index + 1));
        }
        if let Ok(Value::Object(renumbered)) = serde_json::from_str(&document) {
            *call = renumbered;
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn expect_equal(place: &str, recorded: &Value, replayed: &Value, out: &mut Vec<Difference>) {
    if recorded != replayed {
        out.push(Difference {
            place: place.to_owned(),
            recorded: text(recorded),
            replayed: text(replayed),
        });
    }
}

fn entry(call: &Call) -> String {
    let name = call
        .get("stage")
        .filter(|stage| !stage.is_null())
        .or_else(|| call.get("exec"));
    let name = name.map(text).unwrap_or_default();
    let how = call
        .get("end")
        .map(|end| text(&end["how"]))
        .unwrap_or_default();
    if how == "exit 0" || how.is_empty() || how == "null" {
        name
    } else {
        format!("{name} -> {how}")
    }
}

fn compare_sequences(
    recorded: &BTreeMap<String, Vec<Call>>,
    replayed: &BTreeMap<String, Vec<Call>>,
    out: &mut Vec<Difference>,
) {
    let jobs: std::collections::BTreeSet<&String> =
        recorded.keys().chain(replayed.keys()).collect();
    for job in jobs {
        let sequence = |calls: &BTreeMap<String, Vec<Call>>| -> Vec<String> {
            calls.get(job).into_iter().flatten().map(entry).collect()
        };
        let (one, other) = (sequence(recorded), sequence(replayed));
        if one != other {
            out.push(Difference {
                place: format!("sequence of job {job}"),
                recorded: one.join(", "),
                replayed: other.join(", "),
            });
        }
    }
}

/// The list of calls at the head of a trace. With several jobs, only the order within each is fixed, which is compared
/// call by call.
fn compare_summaries(recorded: &Value, replayed: &Value, out: &mut Vec<Difference>) {
    let list = |document: &Value| -> Vec<String> {
        let entries = document["sequence"].as_array().into_iter().flatten();
        let mut list: Vec<String> = entries
            .map(|entry| entry.as_str().unwrap_or_default().to_owned())
            .collect();
        if calls_by_job(document).len() > 1 {
            list.sort();
        }
        list
    };
    let (one, other) = (list(recorded), list(replayed));
    if one != other {
        out.push(Difference {
            place: "sequence".to_owned(),
            recorded: one.join(", "),
            replayed: other.join(", "),
        });
    }
}

fn compare_outcomes(recorded: &Value, replayed: &Value, out: &mut Vec<Difference>) {
    let empty = Vec::new();
    let jobs = |document: &Value| document["jobs"].as_array().unwrap_or(&empty).clone();
    for (one, other) in jobs(recorded).iter().zip(jobs(replayed)) {
        let place = format!("outcome of job {}", one["id"]);
        expect_equal(&place, &one["outcome"], &other["outcome"], out);
    }
}

fn compare_call(recorded: &Call, replayed: &Call, moments: Moments, out: &mut Vec<Difference>) {
    let null = Value::Null;
    let field = |call: &Call, name: &str| call.get(name).cloned().unwrap_or_default();
    let label = format!(
        "call {} ({})",
        recorded.get("n").unwrap_or(&null),
        entry(recorded)
    );
    for name in ["argv", "cwd", "env_own", "custom_env_count", "nth"] {
        if name == "custom_env_count" && !recorded.contains_key(name) {
            continue;
        }
        let (one, other) = (field(recorded, name), field(replayed, name));
        let (one, other) = if name == "env_own" {
            (sorted(one), sorted(other))
        } else {
            (one, other)
        };
        expect_equal(&format!("{label}: {name}"), &one, &other, out);
    }
    for name in ["env_sel", "env_full"] {
        compare_environment(&label, recorded.get(name), replayed.get("env_sel"), out);
    }
    let listing = |call: &Call| sorted(field(call, "tmp_listing"));
    expect_equal(
        &format!("{label}: tmp_listing"),
        &listing(recorded),
        &listing(replayed),
        out,
    );
    for name in ["path", "mode", "dirmode", "head"] {
        let (one, other) = (
            &field(recorded, "script")[name],
            &field(replayed, "script")[name],
        );
        // PowerShell scripts were recorded without being run; their text is not part of the comparison.
        let compared = name != "head" || one.as_str().is_some_and(|head| head.starts_with("#!"));
        if !one.is_null() && compared {
            expect_equal(&format!("{label}: script {name}"), one, other, out);
        }
    }
    for name in REAL_PROCESS_FIELDS {
        if let (Some(one), Some(other)) = (recorded.get(name), replayed.get(name)) {
            // What could not be read has an error in the words of the program that tried.
            if one["error"].is_string() && other["error"].is_string() {
                continue;
            }
            expect_equal(&format!("{label}: {name}"), one, other, out);
        }
    }
    compare_signals(&label, recorded, replayed, moments, out);
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut list) => {
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        other => other,
    }
}

/// Every variable that the recording shows must have the same value in the replay.
fn compare_environment(
    label: &str,
    recorded: Option<&Value>,
    replayed: Option<&Value>,
    out: &mut Vec<Difference>,
) {
    let Some(recorded) = recorded.and_then(Value::as_object) else {
        return;
    };
    let missing = Value::Null;
    for (key, value) in recorded {
        let other = replayed
            .and_then(|values| values.get(key))
            .unwrap_or(&missing);
        if !same_value(value, other) {
            let shorten = |value: &Value| text(value).chars().take(200).collect();
            out.push(Difference {
                place: format!("{label}: environment {key}"),
                recorded: shorten(value),
                replayed: shorten(other),
            });
        }
    }
}

/// Recordings shorten very long values by a note about what they left out.
fn same_value(recorded: &Value, replayed: &Value) -> bool {
    if recorded == replayed {
        return true;
    }
    match (recorded.as_str(), replayed.as_str()) {
        (Some(recorded), Some(replayed)) => match recorded.split_once("<... ") {
            Some((start, _)) => replayed.starts_with(start),
            None => false,
        },
        _ => false,
    }
}

/// Signals that reached the driver: kind and number exactly, moments within the tolerance. A broken pipe is no signal
/// of the runner, and how often it comes depends on how long the recording watched.
fn compare_signals(
    label: &str,
    recorded: &Call,
    replayed: &Call,
    moments: Moments,
    out: &mut Vec<Difference>,
) {
    let signals = |call: &Call| -> Vec<(String, f64)> {
        let list = call
            .get("signals")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        list.iter()
            .map(|signal| {
                (
                    text(&signal["sig"]),
                    signal["t"].as_f64().unwrap_or_default(),
                )
            })
            .filter(|(name, _)| name != "SIGPIPE")
            .collect()
    };
    let (one, other) = (signals(recorded), signals(replayed));
    let started = |call: &Call| call.get("t").and_then(Value::as_f64).unwrap_or_default();
    let same = one.len() == other.len()
        && one
            .iter()
            .zip(&other)
            .all(|((name, at), (other_name, other_at))| {
                let since = (at - started(recorded), other_at - started(replayed));
                let is_near = || near(*at, *other_at) || near(since.0, since.1);
                name == other_name && (moments == Moments::LeftOut || is_near())
            });
    if !same {
        out.push(Difference {
            place: format!("{label}: signals"),
            recorded: format!("{one:?}"),
            replayed: format!("{other:?}"),
        });
    }
}

fn near(recorded_s: f64, replayed_s: f64) -> bool {
    let share = if recorded_s > LONG_WAIT_S {
        recorded_s * TOLERANCE_SHARE
    } else {
        0.0
    };
    (recorded_s - replayed_s).abs() <= TOLERANCE_S.max(share)
}

fn compare_gaps(recorded: &Value, replayed: &Value, out: &mut Vec<Difference>) {
    let gaps = |document: &Value| -> BTreeMap<u64, f64> {
        let list = document["gaps"].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter_map(|gap| Some((gap["before_call"].as_u64()?, gap["seconds"].as_f64()?)))
            .collect()
    };
    let (one, other) = (gaps(recorded), gaps(replayed));
    let same = one.keys().eq(other.keys())
        && one
            .iter()
            .all(|(call, seconds)| near(*seconds, other[call]));
    if !same {
        out.push(Difference {
            place: "gaps".into(),
            recorded: format!("{one:?}"),
            replayed: format!("{other:?}"),
        });
    }
}

fn compare_logs(recorded: &Value, replayed: &Value, comparison: &mut Comparison) {
    let jobs = |document: &Value| document["jobs"].as_array().cloned().unwrap_or_default();
    for (one, other) in jobs(recorded).iter().zip(jobs(replayed)) {
        let lines = |job: &Value| -> Vec<String> {
            let log = job["trace"].as_str().unwrap_or_default();
            log.split('\n').map(str::to_owned).collect()
        };
        let (count, differences) = compare_lines(&lines(one), &lines(&other));
        comparison.job_log.add(count);
        comparison.job_log_differences.extend(differences);
    }
    let lines = |document: &Value| -> Vec<String> {
        let list = document["runner_log"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        list.iter().map(text).collect()
    };
    let (count, differences) = compare_lines(&lines(recorded), &lines(replayed));
    comparison.runner_log = count;
    comparison.runner_log_differences = differences;
}

fn compare_lines(recorded: &[String], replayed: &[String]) -> (LineCount, Vec<String>) {
    let mut count = LineCount {
        equal: 0,
        recorded: recorded.len(),
    };
    let mut differences = Vec::new();
    let diff = similar::TextDiff::from_slices(
        &recorded.iter().map(String::as_str).collect::<Vec<_>>(),
        &replayed.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for change in diff.iter_all_changes() {
        match change.tag() {
            similar::ChangeTag::Equal => count.equal += 1,
            similar::ChangeTag::Delete => differences.push(format!("- {}", change.value())),
            similar::ChangeTag::Insert => differences.push(format!("+ {}", change.value())),
        }
    }
    (count, differences)
}
