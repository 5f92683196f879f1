//! One entry of the runner's own log, in each of its formats: the usual one, `text`, `json`, also behind what journald,
//! syslog or a container puts in front.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\x1b|\\u001b|\\x1b|#033|\^\[)\[[0-9;]*[A-Za-z]").expect("a constant pattern")
});
/// `Nov 24 00:20:58 host gitlab-runner[123]: `, `2026-11-24T00:20:58Z host gitlab-runner[1]: `, a moment alone, or, as syslog sends it,
/// `<30>1 2026-11-24T00:20:58Z host gitlab-runner 123 - - `.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ (?:-|\[[^\]]*\]) |(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*) (?:\S+ )?[\w./-]+(?:\[\d+\])?: |\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S* (?:std(?:out|err) [FP] )?)",
    )
    .expect("a constant pattern")
});
/// `key=value` as the usual format writes it: values are not quoted, so that only keys tell where one ends.
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|\s)([A-Za-z][\w.-]*)=").expect("a constant pattern"));
/// `key=value` as logfmt has it.
static QUOTED_FIELD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z][\w.-]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))"#).expect("a constant pattern")
});
/// What the service manager and the kernel say of the runner's process, in the journal of its service.
static OF_SERVICE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^[\w@.-]*runner[\w@.-]*\.service: (?:Main process exited, code=(?:killed|dumped)|Failed with result '(?:oom-kill|signal|core-dump|watchdog)')|^Out of memory: Killed process \d+ \([\w-]*runner[\w-]*\)",
    )
    .expect("a constant pattern")
});
/// Fields by which a line is known as the runner's.
const KNOWN_FIELDS: [&str; 9] = [
    "job",
    "runner",
    "runner_name",
    "builds",
    "max_builds",
    "stop-signal",
    "StopSignal",
    "shutdown-timeout",
    "cleanup_std",
];

/// How serious an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Debug and info.
    Info,
    /// Warning.
    Warning,
    /// Error and worse.
    Error,
}

/// An entry of the runner's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its line, from 1.
    pub number: usize,
    /// How serious it is.
    pub level: Level,
    /// The message.
    pub message: String,
    /// The fields.
    pub fields: BTreeMap<String, String>,
    /// The line without escape sequences.
    pub text: String,
}

impl Entry {
    /// Reads a line; nothing if it is no entry of a runner's log.
    pub fn parse(number: usize, raw: &str) -> Option<Self> {
        if !raw.contains('=') && !raw.trim_start().starts_with('{') && !is_bare_message(raw) {
            return None;
        }
        let text = ESCAPES.replace_all(raw, "").into_owned();
        if let Some(message) = journal_message(&text) {
            return Self::parse(number, &message);
        }
        let start = PREFIX
            .find(&text)
            .map_or(0, |prefix| end_of_prefix(prefix.as_str()));
        let body = text[start..].trim();
        let entry = json(body)
            .or_else(|| logfmt(body))
            .or_else(|| usual(body))?;
        let (level, message, fields) = entry;
        Some(Self {
            number,
            level,
            message,
            fields,
            text,
        })
    }

    /// Whether it has a field by which the runner's entries are known.
    pub fn is_of_runner(&self) -> bool {
        // Other programs have jobs, too; those of GitLab are numbers.
        let is_id = |job: &str| !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit());
        let mut fields = self.fields.iter();
        fields.any(|(key, value)| match key.as_str() {
            "job" => is_id(value),
            key => KNOWN_FIELDS.contains(&key),
        })
    }

    /// A field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

type Parts = (Level, String, BTreeMap<String, String>);

/// Words by which the usual format begins an entry that is more than information.
const LEVELS: [&str; 6] = [
    "WARNING: ",
    "ERROR: ",
    "FATAL: ",
    "PANIC: ",
    "DEBUG: ",
    "INFO: ",
];

/// Behind a moment alone, the level looks like the name of a program.
fn end_of_prefix(prefix: &str) -> usize {
    let level = LEVELS.iter().find(|level| prefix.ends_with(*level));
    prefix.len() - level.map_or(0, |level| level.len())
}

/// Entries that have no fields, for example the last words of a runner.
fn is_bare_message(raw: &str) -> bool {
    raw.contains("FATAL: ")
        || raw.contains("panic: ")
        || raw.contains(".service: Failed with result")
        || raw.contains("Out of memory: Killed process")
}

fn level_of(word: &str) -> Level {
    match word.to_ascii_lowercase().as_str() {
        "warning" | "warn" => Level::Warning,
        "error" | "fatal" | "panic" => Level::Error,
        _ => Level::Info,
    }
}

/// What `journalctl -o json` wraps a line into; bytes that are no plain text, colours for example, are numbers there.
fn journal_message(body: &str) -> Option<String> {
    if !body.starts_with('{') || !body.contains("\"MESSAGE\"") {
        return None;
    }
    let object: Value = serde_json::from_str(body).ok()?;
    match object.get("MESSAGE")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
            let bytes: Option<Vec<u8>> = bytes.collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

fn json(body: &str) -> Option<Parts> {
    if !body.starts_with('{') {
        return None;
    }
    let Ok(Value::Object(mut object)) = serde_json::from_str::<Value>(body) else {
        return None;
    };
    let message = object.remove("msg").or_else(|| object.remove("message"))?;
    let message = message.as_str()?.to_owned();
    let level = level_of(object.get("level")?.as_str()?);
    let fields = object
        .into_iter()
        .map(|(key, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (key, text)
        })
        .collect();
    Some((level, message.trim().to_owned(), fields))
}

/// Whether a line is an entry in the runner's own JSON, whose messages may repeat those of a job log.
pub(crate) fn is_json_of_runner(line: &str) -> bool {
    let line = line.trim();
    line.contains("\"msg\"")
        && json(line).is_some_and(|(_, _, fields)| {
            let known = KNOWN_FIELDS.iter();
            fields.contains_key("time") && known.into_iter().any(|key| fields.contains_key(*key))
        })
}

fn logfmt(body: &str) -> Option<Parts> {
    if !body.contains("level=") || !body.contains("msg=") {
        return None;
    }
    let mut fields: BTreeMap<String, String> = QUOTED_FIELD
        .captures_iter(body)
        .map(|found| {
            let value = match (found.get(2), found.get(3)) {
                (Some(quoted), _) => quoted.as_str().replace("\\\"", "\"").replace("\\\\", "\\"),
                (None, Some(bare)) => bare.as_str().to_owned(),
                (None, None) => String::new(),
            };
            (found[1].to_owned(), value)
        })
        .collect();
    let level = level_of(&fields.remove("level")?);
    let message = fields.remove("msg")?.trim().to_owned();
    Some((level, message, fields))
}

fn usual(body: &str) -> Option<Parts> {
    let (level, rest) = split_level(body);
    if OF_SERVICE.is_match(rest) {
        return Some((Level::Error, rest.to_owned(), BTreeMap::new()));
    }
    // The message is padded, and two blanks stand before the fields.
    let at = FIELD
        .captures_iter(rest)
        .filter_map(|found| found.get(1).map(|key| key.start()))
        .find(|start| {
            let before = &rest[..*start];
            (before.is_empty() || before.ends_with("  ")) && knows(&rest[*start..]) >= 1
        })
        .or_else(|| fields_behind_one_blank(rest));
    let Some(at) = at else {
        let last_words = rest.starts_with("panic: ") || body.starts_with("FATAL: ");
        let message = rest.trim().to_owned();
        return last_words.then(|| (Level::Error, message, BTreeMap::new()));
    };
    let message = rest[..at].trim().to_owned();
    let listed = &rest[at..];
    let keys: Vec<(usize, usize, String)> = FIELD
        .captures_iter(listed)
        .map(|found| {
            let whole = found.get(0).map_or(0..0, |whole| whole.range());
            (whole.start, whole.end, found[1].to_owned())
        })
        .collect();
    let mut fields = BTreeMap::new();
    for (index, (_, value_start, key)) in keys.iter().enumerate() {
        let end = keys.get(index + 1).map_or(listed.len(), |next| next.0);
        let value = listed.get(*value_start..end).unwrap_or_default().trim();
        fields.insert(key.clone(), value.to_owned());
    }
    Some((level, message, fields))
}

fn split_level(body: &str) -> (Level, &str) {
    for word in LEVELS {
        if let Some(rest) = body.strip_prefix(word) {
            return (level_of(&word[..word.len() - 2]), rest);
        }
    }
    (Level::Info, body)
}

/// Where several blanks have become one, as in a chat, more fields must be the runner's. Keys of its messages (`PID=`) are not
/// written as those of fields.
fn fields_behind_one_blank(rest: &str) -> Option<usize> {
    let is_field = |key: &str| {
        key.chars()
            .all(|c| c.is_ascii_lowercase() || "_-".contains(c))
    };
    let mut keys = FIELD
        .captures_iter(rest)
        .filter_map(|found| found.get(1))
        .filter(|key| is_field(key.as_str()));
    let start = keys.next()?.start();
    (knows(&rest[start..]) >= 2).then_some(start)
}

/// How many of the fields are known to be the runner's.
fn knows(fields: &str) -> usize {
    let keys = FIELD.captures_iter(fields);
    keys.filter(|found| KNOWN_FIELDS.contains(&&found[1]))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(raw: &str) -> Entry {
        Entry::parse(1, raw).unwrap_or_else(|| panic!("no entry: {raw}"))
    }

    #[test]
    fn each_format_is_read_alike() {
        for raw in [
            "\u{1b}[0;33mWARNING: Job failed: exit status 1                 \u{1b}[0;m  \u{1b}[0;33mduration_s\u{1b}[0;m=1.5 \u{1b}[0;33merror\u{1b}[0;m=exit status 1 \u{1b}[0;33mexit_code\u{1b}[0;m=1 \u{1b}[0;33mjob\u{1b}[0;m=17",
            "WARNING: Job failed: exit status 1                   duration_s=1.5 error=exit status 1 exit_code=1 job=17",
            "<28>1 2026-11-24T00:20:58.123456+00:00 host gitlab-runner 12 - - WARNING: Job failed: exit status 1  error=exit status 1 job=17 runner=abc",
            "<28>Nov 24 00:20:58 host gitlab-runner[12]: WARNING: Job failed: exit status 1  error=exit status 1 job=17 runner=abc",
            "2026-11-24T00:20:58.274754123Z \u{1b}[0;33mWARNING: Job failed: exit status 1        \u{1b}[0;m  error=exit status 1 job=17",
            "Nov 24 00:20:58 host gitlab-runner[12]: WARNING: Job failed: exit status 1  error=exit status 1 job=17 runner=abc",
            r#"{"duration_s":1.5,"error":"exit status 1","exit_code":1,"job":17,"level":"warning","msg":"Job failed: exit status 1","time":"2026-11-24T00:20:58Z"}"#,
            r#"time="2026-11-24T00:20:58Z" level=warning msg="Job failed: exit status 1" error="exit status 1" job=17"#,
            r#"{"MESSAGE":"WARNING: Job failed: exit status 1  error=exit status 1 job=17","PRIORITY":"4"}"#,
            "WARNING: Job failed: exit status 1 error=exit status 1 job=17 runner=abc",
        ] {
            let entry = entry(raw);
            assert_eq!(entry.level, Level::Warning, "{raw}");
            assert_eq!(entry.message, "Job failed: exit status 1", "{raw}");
            assert_eq!(entry.field("job"), Some("17"), "{raw}");
            assert_eq!(entry.field("error"), Some("exit status 1"), "{raw}");
        }
    }

    #[test]
    fn other_programs_are_not_the_runner() {
        for raw in [
            "GET /index.html status=200 time=3",
            r#"{"name":"x","value":1}"#,
            "export A=b",
            "Downloading artifacts from coordinator... ok        id=900 token=dep",
        ] {
            assert_eq!(Entry::parse(1, raw), None, "{raw}");
        }
    }

    #[test]
    fn last_words_need_no_fields() {
        let entry = entry("FATAL: Service run failed");
        assert_eq!(entry.message, "Service run failed");
    }
}
