//! What the runner logs about its exchange with GitLab (contract L, H14, H15).

use std::sync::Arc;

use super::log_updates::{Answer, Request};
use super::protocol::{RunnerLogEntry, RunnerLogLevel};

/// What the entries about one job say about it.
#[derive(Debug, Clone)]
pub struct UpdateFacts<'a> {
    /// Job id.
    pub job: i64,
    /// Short token of the runner.
    pub runner: String,
    /// Name of the runner.
    pub runner_name: String,
    /// Bytes in the job log.
    pub log_bytes: u64,
    /// The job log. Its checksum is in the entries about an update only, so it is not computed for a patch.
    pub log: &'a [u8],
    /// Bytes of the log that GitLab has.
    pub stored_bytes: u64,
    /// Id that ties request and answer together.
    pub correlation_id: String,
    /// URL of the instance.
    pub url: &'a str,
}

/// The entries about one request and its answer.
pub fn entries(request: Request, answer: Answer, facts: &UpdateFacts<'_>) -> Vec<RunnerLogEntry> {
    match request {
        Request::Patch { from, to } => patch_entries(from, to, answer, facts),
        Request::Touch | Request::Final => update_entries(answer, facts, false),
    }
}

/// The entries about the update with which a runner takes a job: there is no log yet.
pub fn first_entries(answer: Answer, facts: &UpdateFacts<'_>) -> Vec<RunnerLogEntry> {
    update_entries(answer, facts, true)
}

fn patch_entries(
    from: u64,
    to: u64,
    answer: Answer,
    facts: &UpdateFacts<'_>,
) -> Vec<RunnerLogEntry> {
    let (code, job) = match answer {
        Answer::Status { code, job, .. } => (code, job),
        Answer::Refused => return vec![refused_patch(facts)],
        // Its text holds a port that the system chose.
        Answer::Broken => return Vec::new(),
    };
    let (level, word) = match code {
        _ if job.is_over() || code == 403 => (RunnerLogLevel::Warning, " job failed"),
        202 => (RunnerLogLevel::Info, "ok"),
        404 => (RunnerLogLevel::Warning, " not-found"),
        416 => (RunnerLogLevel::Warning, " range mismatch"),
        _ => (RunnerLogLevel::Warning, " failed"),
    };
    let mut fields = answer_fields(answer, facts);
    fields.push(("sent-log".into(), format!("{from}-{}", to - 1)));
    let known = code == 202 || code == 416;
    let job_log = if known {
        format!("0-{}", facts.stored_bytes)
    } else {
        String::new()
    };
    fields.push(("job-log".into(), job_log));
    fields.push(("status".into(), format!("{code} {}", reason_phrase(code))));
    let message = format!("Appending trace to coordinator...{word}");
    vec![RunnerLogEntry {
        job_fields: Arc::default(),
        level,
        message,
        fields,
    }]
}

/// A patch that found nobody is told with all the layers it went through.
fn refused_patch(facts: &UpdateFacts<'_>) -> RunnerLogEntry {
    let url = format!(
        "{}/api/v4/jobs/{}/trace?debug_trace=false",
        facts.url, facts.job
    );
    let host = facts.url.split("://").last().unwrap_or_default();
    RunnerLogEntry {
        job_fields: Arc::default(),
        level: RunnerLogLevel::Error,
        message: format!(
            "Appending trace to coordinator... error measured raw request: execute raw request: \
             execute request: couldn't execute PATCH against {url}: Patch \"{url}\": \
             dial tcp {host}: connect: connection refused"
        ),
        fields: runner_fields(facts),
    }
}

fn update_entries(
    answer: Answer,
    facts: &UpdateFacts<'_>,
    is_without_log: bool,
) -> Vec<RunnerLogEntry> {
    let checksum = if is_without_log {
        String::new()
    } else {
        checksum(facts.log)
    };
    let content = [
        ("bytesize".to_owned(), facts.log_bytes.to_string()),
        ("checksum".to_owned(), checksum),
    ];
    let mut fields = common_fields(facts);
    fields.extend(content.clone());
    let mut entries = vec![RunnerLogEntry {
        job_fields: Arc::default(),
        level: RunnerLogLevel::Info,
        message: "Updating job...".into(),
        fields,
    }];
    let Answer::Status { code, job, .. } = answer else {
        return entries;
    };
    let (level, word) = match code {
        _ if job.is_over() || code == 403 => (RunnerLogLevel::Warning, " job failed"),
        200 => (RunnerLogLevel::Info, "ok"),
        202 => (RunnerLogLevel::Info, "accepted, but not yet completed"),
        412 => (RunnerLogLevel::Info, "trace validation failed"),
        404 => (RunnerLogLevel::Warning, " not found"),
        _ => (RunnerLogLevel::Warning, " failed"),
    };
    let mut fields = answer_fields(answer, facts);
    fields.extend(content);
    if level == RunnerLogLevel::Warning {
        fields.push(("status".into(), update_status(code, facts)));
    }
    let message = format!("Submitting job to coordinator...{word}");
    entries.push(RunnerLogEntry {
        job_fields: Arc::default(),
        level,
        message,
        fields,
    });
    entries
}

fn common_fields(facts: &UpdateFacts<'_>) -> Vec<(String, String)> {
    let mut fields = vec![
        ("correlation_id".into(), facts.correlation_id.clone()),
        ("job".into(), facts.job.to_string()),
    ];
    fields.extend(runner_fields(facts));
    fields
}

/// A runner without a name has no field for it.
fn runner_fields(facts: &UpdateFacts<'_>) -> Vec<(String, String)> {
    let mut fields = vec![("runner".to_owned(), facts.runner.clone())];
    if !facts.runner_name.is_empty() {
        fields.push(("runner_name".to_owned(), facts.runner_name.clone()));
    }
    fields
}

fn answer_fields(answer: Answer, facts: &UpdateFacts<'_>) -> Vec<(String, String)> {
    let mut fields = common_fields(facts);
    if let Answer::Status {
        code,
        job,
        interval,
        ..
    } = answer
    {
        let interval = interval.unwrap_or_default();
        fields.push(("code".into(), code.to_string()));
        fields.push(("job-status".into(), job.name().into()));
        fields.push((
            "update-interval".into(),
            super::go_duration::GoDuration::from(interval).to_string(),
        ));
    }
    fields
}

/// What an update's answer comes to in words. GitLab tells what is wrong in JSON, and repeats the HTTP status there.
fn update_status(code: u16, facts: &UpdateFacts<'_>) -> String {
    let status = format!("{code} {}", reason_phrase(code));
    if (200..300).contains(&code) {
        return status;
    }
    let text = format!("PUT {}/api/v4/jobs/{}: {status}", facts.url, facts.job);
    match code {
        404 => format!("{text} (404 Not found)"),
        _ => text,
    }
}

fn reason_phrase(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        416 => "Requested Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

/// The checksum of a job log as it is sent: CRC-32 in hexadecimal.
fn checksum(log: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in log {
        let [low, ..] = crc.to_le_bytes();
        crc = (crc >> 8) ^ CRC_32[usize::from(low ^ byte)];
    }
    format!("crc32:{:08x}", !crc)
}

/// What each byte does to a CRC-32.
const CRC_32: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::super::log_updates::JobStatus;
    use super::*;

    fn facts() -> UpdateFacts<'static> {
        UpdateFacts {
            job: 7,
            runner: "token".into(),
            runner_name: "runner".into(),
            log_bytes: 0,
            log: &[],
            stored_bytes: 0,
            correlation_id: "id".into(),
            url: "http://gitlab.test:80",
        }
    }

    fn field<'a>(entry: &'a RunnerLogEntry, name: &str) -> Option<&'a str> {
        let mut fields = entry.fields.iter();
        let field = fields.find(|(key, _)| key == name)?;
        Some(&field.1)
    }

    #[test]
    fn an_update_that_ends_the_job_is_told_with_its_status() {
        let answer = |code, job| Answer::Status {
            code,
            job,
            interval: None,
            held_bytes: None,
        };
        let status = |answer| {
            let entries = entries(Request::Final, answer, &facts());
            field(&entries[1], "status").map(str::to_owned)
        };
        assert_eq!(status(answer(200, JobStatus::Running)), None);
        assert_eq!(
            status(answer(200, JobStatus::Failed)).as_deref(),
            Some("200 OK")
        );
        assert_eq!(
            status(answer(403, JobStatus::Unsaid)).as_deref(),
            Some("PUT http://gitlab.test:80/api/v4/jobs/7: 403 Forbidden")
        );
    }

    #[test]
    fn an_empty_log_has_a_checksum_once_the_job_is_taken() {
        let answer = Answer::Status {
            code: 200,
            job: JobStatus::Running,
            interval: None,
            held_bytes: None,
        };
        let first = first_entries(answer, &facts());
        assert_eq!(field(&first[0], "checksum"), Some(""));
        let last = entries(Request::Final, answer, &facts());
        assert_eq!(field(&last[0], "checksum"), Some("crc32:00000000"));
    }

    #[test]
    fn a_refused_patch_is_an_error_without_the_jobs_number() {
        let request = Request::Patch { from: 0, to: 1 };
        let entries = entries(request, Answer::Refused, &facts());
        assert_eq!(entries[0].level, RunnerLogLevel::Error);
        assert!(
            entries[0]
                .message
                .ends_with("dial tcp gitlab.test:80: connect: connection refused")
        );
        assert_eq!(field(&entries[0], "job"), None);
    }

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(checksum(b"123456789"), "crc32:cbf43926");
        assert_eq!(checksum(b""), "crc32:00000000");
    }
}
