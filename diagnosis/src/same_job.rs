//! A job's own log does not say which job it is, and the runner's log says little of what happened in it: where only one job of the
//! runner ended as the log of the job does, the two tell of the same one.

use driver_conformance_scenarios::symptom::Ending;

use crate::story::{Failure, Story};

/// Makes one story of a job's log and of what the runner's log tells of the same job.
pub(crate) fn join(stories: Vec<Story>) -> Vec<Story> {
    let (mut own, mut others): (Vec<Story>, Vec<Story>) =
        stories.into_iter().partition(is_of_job_log);
    // With two job logs that end alike, nobody knows which is which.
    for at in 0..own.len() {
        let alike = |story: &&Story| ends_alike(&own[at], story);
        if own.iter().filter(alike).count() > 1 {
            continue;
        }
        let mut candidates =
            (0..others.len()).filter(|other| ends_alike(&own[at], &others[*other]));
        if let (Some(only), None) = (candidates.next(), candidates.next()) {
            let told = others.remove(only);
            add(&mut own[at], told);
        }
    }
    own.extend(others);
    own
}

fn is_of_job_log(story: &Story) -> bool {
    story.job.is_none() && matches!(story.ending, Some(Ending::Failed | Ending::Success))
}

fn verdict(story: &Story) -> Option<&Failure> {
    story.failures.iter().rfind(|failure| failure.decisive)
}

fn ends_alike(a: &Story, b: &Story) -> bool {
    let message = |story| verdict(story).map(|failure: &Failure| (&failure.message, failure.class));
    a.ending == b.ending && message(a) == message(b)
}

/// Adds what the runner's log tells: it names the job, and has what is not written into the job's log.
fn add(story: &mut Story, told: Story) {
    story.job = told.job;
    for fact in told.facts {
        if !story.facts.contains(&fact) {
            story.facts.push(fact);
        }
    }
    for failure in told.failures {
        let same = story
            .failures
            .iter_mut()
            .find(|own| own.message == failure.message && own.decisive == failure.decisive);
        match same {
            Some(own) => own.evidence.extend(failure.evidence),
            None => story.failures.push(failure),
        }
    }
    let is_new = |warnings: &[crate::story::Remark], text: &str| {
        !warnings.iter().any(|warning| warning.text == text)
    };
    for warning in told.warnings {
        if is_new(&story.warnings, &warning.text) {
            story.warnings.push(warning);
        }
    }
    story.outputs.extend(told.outputs);
    story.told.extend(told.told);
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::symptom::{FailureClass, Subject};

    use super::*;
    use crate::story::{Evidence, Place};

    fn story(input: usize, job: Option<&str>, message: &str) -> Story {
        Story {
            job: job.map(str::to_owned),
            ending: Some(Ending::Failed),
            failures: vec![Failure {
                message: message.to_owned(),
                place: Place::of(Subject::Run),
                class: FailureClass::Script,
                decisive: true,
                evidence: vec![Evidence {
                    input,
                    line: 1,
                    text: message.to_owned(),
                }],
                facts: Vec::new(),
            }],
            ..Story::default()
        }
    }

    #[test]
    fn a_job_is_known_by_its_end_if_no_other_ends_alike() {
        let joined = join(vec![
            story(0, None, "exit status 1"),
            story(1, Some("7"), "exit status 1"),
            story(1, Some("8"), "canceled"),
        ]);
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[0].job.as_deref(), Some("7"));
        assert_eq!(joined[0].failures[0].evidence.len(), 2);
        let doubtful = vec![
            story(0, None, "exit status 1"),
            story(1, Some("7"), "exit status 1"),
            story(1, Some("8"), "exit status 1"),
        ];
        assert_eq!(join(doubtful.clone()), doubtful);
    }
}
