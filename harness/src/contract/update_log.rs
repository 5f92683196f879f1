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
}

/// The entries about one request and its answer.
pub fn entries(request: Request, answer: Answer, facts: &UpdateFacts<'_>) -> Vec<RunnerLogEntry> {
    match request {
        Request::Patch { from, to } => patch_entries(from, to, answer, facts),
        Request::Touch | Request::Final => update_entries(answer, facts),
    }
}

fn patch_entries(
    from: u64,
    to: u64,
    answer: Answer,
    facts: &UpdateFacts<'_>,
) -> Vec<RunnerLogEntry> {
    let Answer::Status { code, over, .. } = answer else {
        return Vec::new();
    };
    let (level, word) = match code {
        _ if over || code == 403 => (RunnerLogLevel::Warning, " job failed"),
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

fn update_entries(answer: Answer, facts: &UpdateFacts<'_>) -> Vec<RunnerLogEntry> {
    let checksum = if facts.log.is_empty() {
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
    let Answer::Status { code, over, .. } = answer else {
        return entries;
    };
    let (level, word) = match code {
        _ if over || code == 403 => (RunnerLogLevel::Warning, " job failed"),
        200 => (RunnerLogLevel::Info, "ok"),
        202 => (RunnerLogLevel::Info, "accepted, but not yet completed"),
        412 => (RunnerLogLevel::Info, "trace validation failed"),
        404 => (RunnerLogLevel::Warning, " not found"),
        _ => (RunnerLogLevel::Warning, " failed"),
    };
    let mut fields = answer_fields(answer, facts);
    fields.extend(content);
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
    vec![
        ("correlation_id".into(), facts.correlation_id.clone()),
        ("job".into(), facts.job.to_string()),
        ("runner".into(), facts.runner.clone()),
        ("runner_name".into(), facts.runner_name.clone()),
    ]
}

fn answer_fields(answer: Answer, facts: &UpdateFacts<'_>) -> Vec<(String, String)> {
    let mut fields = common_fields(facts);
    if let Answer::Status {
        code,
        canceling,
        over,
        interval,
    } = answer
    {
        let status = match (code, canceling, over) {
            (_, true, _) => "canceling",
            (_, _, true) => "canceled",
            (200..=299 | 412 | 416, ..) => "running",
            _ => "",
        };
        let interval = interval.unwrap_or_default();
        fields.push(("code".into(), code.to_string()));
        fields.push(("job-status".into(), status.into()));
        fields.push((
            "update-interval".into(),
            super::go_duration::GoDuration::from(interval).to_string(),
        ));
    }
    fields
}

fn reason_phrase(code: u16) -> &'static str {
    match code {
        200 => "OK",
        202 => "Accepted",
        403 => "Forbidden",
        404 => "Not Found",
        416 => "Requested Range Not Satisfiable",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
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
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(checksum(b"123456789"), "crc32:cbf43926");
        assert_eq!(checksum(b""), "crc32:00000000");
    }
}
