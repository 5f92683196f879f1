//! What is run: scenarios times axes → cases, their order, and a selection of them.

pub mod case;
mod expand;
pub mod hang;
pub mod patience;
pub mod probe;
pub mod seed;
pub mod select;
pub mod shard;
pub mod waiver;

use std::collections::BTreeMap;
use std::time::Duration;

use driver_conformance_scenarios::ScenarioError;

use crate::contract::config::RunnerConfig;
use crate::contract::stage::Program;
use case::{Case, CaseJob, JobOrder, PlannedCall, Sequence, Surroundings};

/// What a case needs and no scenario says: the same for all drivers, except for the calibration.
#[derive(Debug, Clone)]
pub struct CaseDefaults {
    /// Settings of the runner; [`patience`] replaces the timeouts.
    pub runner: RunnerConfig,
    /// How long the driver's calls take when nothing is in the way.
    pub calibration: Calibration,
    /// CI variables of every job.
    pub variables: Vec<(String, String)>,
    /// `image.name` of every job that does not say otherwise.
    pub image: Option<String>,
    /// `services[].name` of every job that does not say otherwise.
    pub services: Vec<String>,
}

/// The longest nominal call of each program of the driver under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calibration {
    /// Of `config_exec`.
    pub config: Duration,
    /// Of `prepare_exec`.
    pub prepare: Duration,
    /// Of `run_exec` with a script that does nothing.
    pub run: Duration,
    /// Of `cleanup_exec`.
    pub cleanup: Duration,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A scenario file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A scenario file is well-formed but makes no sense.
    #[error("case {case}: {problem}")]
    Senseless {
        /// Name of the case.
        case: String,
        /// What is wrong.
        problem: String,
    },
    /// A pattern is no glob.
    #[error("`{pattern}` is not a valid pattern: {problem}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
    /// A pattern selects nothing.
    #[error("`{pattern}` matches no case and no check; {}", near_text(near))]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// Names that come near.
        near: Vec<String>,
    },
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() {
        "`driver-conformance list` shows all names".to_owned()
    } else {
        format!("near names: {}", near.join(", "))
    }
}

/// All cases, the longest first: with several workers, a long case that begins last would keep all others waiting.
pub fn load_cases(defaults: &CaseDefaults) -> Result<Vec<Case>, PlanError> {
    let mut cases = driver_conformance_scenarios::load()?
        .iter()
        .map(|variant| expand::case(variant, defaults))
        .collect::<Result<Vec<_>, _>>()?;
    keep_apart(&mut cases);
    cases.sort_by(|a, b| {
        b.estimate
            .cmp(&a.estimate)
            .then_with(|| a.name.cmp(&b.name))
    });
    Ok(cases)
}

/// More cases than there will ever be; also the place of the number of a case in its job ids.
const CASES_MAX: u64 = 1000;
/// At most so many jobs of one case are alive at once.
pub(crate) const JOBS_IN_CASE: u32 = 3;

/// Gives each case job ids and concurrent ids of its own. Cases run side by side, and many a driver keeps its state, or
/// has its backend, in a fixed place of the machine: with equal ids, correct drivers would meet themselves there.
/// Job 12 of case 7 is 45600712, where 456 comes from the process: two runs side by side do not meet either. Within a case
/// ids collide by how they begin or end as the scenario wants it, between cases they never do.
fn keep_apart(cases: &mut [Case]) {
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    for (number, case) in (0..).zip(cases) {
        give_ids(case, run_digits(0), number);
    }
}

/// Three digits that come from the process.
fn run_digits(shift: u64) -> u64 {
    100 + (u64::from(std::process::id()) + shift) % 900
}

fn give_ids(case: &mut Case, run: u64, number: u64) {
    put_into_ids(case, run * CASES_MAX + number);
    for job in &mut case.jobs {
        job.concurrent_id += u32::try_from(number).unwrap_or(0) * JOBS_IN_CASE;
    }
}

/// Writes a number in front of the job ids of a case, so that ids which begin alike still do. Where they end alike, as 912 and
/// 12, it comes right before the common end, and they still do as well.
fn put_into_ids(case: &mut Case, number: u64) {
    let power = |id: u64| 10_u64.pow(id.checked_ilog10().unwrap_or(0) + 1);
    let ids = || case.jobs.iter().map(|job| job.job_id);
    let shortest = ids().min().unwrap_or_default();
    let end_alike = ids().all(|id| id % power(shortest) == shortest);
    for job in &mut case.jobs {
        let end = if end_alike { shortest } else { job.job_id };
        let front = job.job_id / power(end);
        job.job_id = (front * power(number) + number) * power(end) + end;
    }
}

/// A case that no file of the suite holds, from the text of its scenario. Its ids are those of no other case with another
/// number, as long as fewer than `CASES_MAX` lie between them.
pub fn generated(
    name: &str,
    text: &str,
    number: u64,
    defaults: &CaseDefaults,
) -> Result<Case, PlanError> {
    let variants = driver_conformance_scenarios::parse(&format!("cases/{name}.toml"), text)?;
    let variant = variants.first().ok_or_else(|| PlanError::Senseless {
        case: name.to_owned(),
        problem: "it has axes without values".to_owned(),
    })?;
    let mut case = expand::case(variant, defaults)?;
    name.clone_into(&mut case.name);
    let run = run_digits(number / CASES_MAX);
    give_ids(&mut case, run, number % CASES_MAX);
    Ok(case)
}

/// The number of the project that a job belongs to: that of its case. On a runner without directories of each job's own, jobs of
/// one project share the project directory, and cases that run side by side are not to meet there.
pub fn project_number(job: &CaseJob) -> u32 {
    job.concurrent_id / JOBS_IN_CASE
}

/// `CI_CONCURRENT_PROJECT_ID`: one counter for each project, so that jobs of two projects have the same.
pub fn concurrent_project_id(job: &CaseJob) -> u32 {
    if job.own_project {
        project_number(job) * JOBS_IN_CASE
    } else {
        job.concurrent_id
    }
}

/// The case with job ids that no run of it had before, for its `again`-th repetition, from 1: what the run before has left
/// under the old ids is not to be met again. They collide as before.
pub fn repeated(case: &Case, again: u64) -> Case {
    let mut case = case.clone();
    put_into_ids(&mut case, again);
    case
}

/// The calls that clean up after these jobs of a case, in their order: what a runner that starts anew cannot do for jobs it has
/// forgotten, and what the cases after it need of a driver that has room for a few jobs only.
pub fn clearing(case: &Case, jobs: &[usize]) -> Case {
    let call = |program| PlannedCall {
        program,
        stage: None,
        new_attempt: false,
        without_job_env: false,
        helpers_killed: false,
        probe: None,
    };
    let calls = vec![call(Program::Config), call(Program::Cleanup)];
    let jobs = jobs.iter().filter_map(|job| case.jobs.get(*job));
    let jobs = jobs.map(|job| CaseJob {
        sequence: Sequence::Calls(calls.clone()),
        stimuli: Vec::new(),
        probes: BTreeMap::new(),
        ..job.clone()
    });
    Case {
        jobs: jobs.collect(),
        order: JobOrder::Sequential,
        turns: Vec::new(),
        surroundings: Surroundings::default(),
        ..case.clone()
    }
}

/// Name of the case by which a driver is calibrated: one job with every stage, to which nothing happens.
const CALIBRATION_CASE: &str = "job/every-stage";

/// Longest time for the nominal job: more than all of its calls may take together.
const CALIBRATION_JOB_TIMEOUT: Duration = Duration::from_hours(2);

/// The case to run before all others: [`Calibration::measured`] of its trace is the calibration of the driver. The
/// emulated runner waits for it as long as a real one; [`hang::Watch::nominal`] tells when it hangs.
pub fn calibration_case(defaults: &CaseDefaults) -> Result<Case, PlanError> {
    let missing = || PlanError::NoMatch {
        pattern: CALIBRATION_CASE.to_owned(),
        near: Vec::new(),
    };
    let defaults = CaseDefaults {
        calibration: Calibration::default(),
        ..defaults.clone()
    };
    let mut case = load_cases(&defaults)?
        .into_iter()
        .find(|case| case.name == CALIBRATION_CASE)
        .ok_or_else(missing)?;
    for job in &mut case.jobs {
        let custom = job.runner.custom.get_or_insert_default();
        patience::wait_for_nominal(custom);
        job.job_timeout = CALIBRATION_JOB_TIMEOUT;
    }
    Ok(case)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    pub(super) fn defaults() -> CaseDefaults {
        CaseDefaults {
            runner: RunnerConfig {
                builds_dir: "/builds".into(),
                ..RunnerConfig::default()
            },
            calibration: Calibration::default(),
            variables: vec![("CI_PROJECT_NAME".into(), "orchard".into())],
            image: Some("image.example/tools:1".into()),
            services: Vec::new(),
        }
    }

    #[test]
    fn ids_collide_by_begin_or_end_within_a_case_and_never_between_cases() {
        let cases = load_cases(&defaults()).expect("the embedded scenarios make sense");
        for (case, ids, other, others) in cases.iter().flat_map(|case| {
            let ids = |case: &Case| -> Vec<_> {
                case.jobs
                    .iter()
                    .map(|job| (job.job_id.to_string(), job.concurrent_id))
                    .collect()
            };
            cases
                .iter()
                .map(move |other| (case, ids(case), other, ids(other)))
        }) {
            for ((one, slot), (two, other_slot)) in ids
                .iter()
                .flat_map(|one| others.iter().map(move |two| (one, two)))
            {
                if case.name == other.name {
                    let collide =
                        |long: &str, short: &str| long.starts_with(short) || long.ends_with(short);
                    assert!(collide(one, two) || collide(two, one), "{one} {two}");
                } else {
                    assert!(!one.contains(two.as_str()), "{one} {two}");
                    assert_ne!(slot, other_slot, "{} {}", case.name, other.name);
                }
            }
        }
    }

    #[test]
    fn a_repeated_case_has_new_ids_that_collide_as_before() {
        let cases = load_cases(&defaults()).expect("the embedded scenarios make sense");
        let named = |name| {
            cases
                .iter()
                .find(|case| case.name == name)
                .expect("it is there")
        };
        let case = named("isolation/in-turns");
        for again in [1, 12] {
            let ids: Vec<_> = repeated(case, again)
                .jobs
                .iter()
                .map(|job| job.job_id.to_string())
                .collect();
            let old = case.jobs[0].job_id.to_string();
            assert_eq!(ids[0], format!("{again}{old}"));
            assert!(ids[0].starts_with(&ids[1]) || ids[1].starts_with(&ids[0]));
            let jobs = repeated(named("isolation/two-projects"), again).jobs;
            let (long, short) = (jobs[0].job_id.to_string(), jobs[1].job_id.to_string());
            assert_eq!(long, format!("9{short}"));
            assert!(short.starts_with(&again.to_string()));
        }
    }

    #[test]
    fn all_scenarios_become_cases_with_unique_names() {
        let cases = load_cases(&defaults()).expect("the embedded scenarios make sense");
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.len() > 60, "{}", cases.len());
    }

    #[test]
    fn the_calibration_case_is_there_and_patient() {
        let case = calibration_case(&defaults()).expect("it is one of the scenarios");
        assert!(case.jobs[0].stimuli.is_empty());
        let custom = case.jobs[0].runner.custom.clone().unwrap_or_default();
        let watch = hang::Watch::nominal(&custom);
        let longest = watch.limits.values().map(|limit| limit.whole).max();
        assert!(Some(custom.prepare_exec_timeout()) > longest);
        assert!(Some(case.jobs[0].job_timeout) > longest.map(|longest| longest * 10));
    }

    #[test]
    fn the_longest_case_comes_first() {
        let cases = load_cases(&defaults()).expect("the embedded scenarios make sense");
        assert!(
            cases
                .windows(2)
                .all(|pair| pair[0].estimate >= pair[1].estimate)
        );
    }
}
