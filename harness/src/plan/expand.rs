//! A scenario with its axes filled in → a case in the harness' own types.

use std::time::Duration;

use driver_conformance_scenarios::Variant;
use driver_conformance_scenarios::model::{
    Action, Call, Child, ChildMoment, Environment, ExitCodeValues, ExitValue, Hang, Job, Limit,
    NamedExit, Order, Output, Probe as ProbeData, Scenario, Stimulus as StimulusData, Timeout,
};

use crate::contract::config::RunnerConfig;
use crate::contract::exit::ExitCodes;
use crate::contract::protocol::TimeLimit;
use crate::contract::stage::{Program, Stage};
use crate::process::client::TrapMoment;

use super::case::{
    Case, CaseJob, ChildPlace, HostEnvironment, JobOrder, JobShape, PlannedCall, Probe,
    ProbeEnding, ProbeOutput, Sequence, Stimulus, StimulusAction, Surroundings, Trigger, Turn,
};
use super::probe::TOOLS;
use super::{CaseDefaults, PlanError};

/// File in the project directory through which stages tell each other a word.
const MEMORY_FILE: &str = "driver-conformance-memory";

/// Makes the case of one variant of a scenario.
pub(super) fn case(variant: &Variant, defaults: &CaseDefaults) -> Result<Case, PlanError> {
    let scenario = &variant.scenario;
    let senseless = |problem: String| PlanError::Senseless {
        case: variant.name.clone(),
        problem,
    };
    let jobs = scenario.job.jobs();
    let known = |id: Option<u64>| id.is_none_or(|id| jobs.iter().any(|job| job.id == id));
    if jobs.is_empty() {
        return Err(senseless("it has no job; add [job]".into()));
    }
    let all_known = scenario.calls.iter().all(|call| known(call.job))
        && scenario.probe.iter().all(|probe| known(probe.job))
        && scenario.stimulus.iter().all(|stimulus| known(stimulus.job));
    if !all_known {
        return Err(senseless(
            "a call, probe or stimulus names a job id that no [[job]] has".into(),
        ));
    }
    let turns = turns(scenario, jobs).map_err(senseless)?;
    let jobs = jobs
        .iter()
        .enumerate()
        .map(|(index, job)| case_job(scenario, job, index == 0, defaults).map_err(senseless))
        .collect::<Result<Vec<_>, _>>()?;
    let estimate = jobs.iter().map(|job| estimate(job, defaults)).sum();
    Ok(Case {
        name: variant.name.clone(),
        about: scenario.about.clone(),
        jobs,
        order: match scenario.order {
            Order::Sequential => JobOrder::Sequential,
            Order::Concurrent => JobOrder::Concurrent,
            Order::Turns => JobOrder::Turns,
            Order::Around => JobOrder::Around,
            Order::Beside => JobOrder::Beside,
            Order::Listed => JobOrder::Listed,
        },
        turns,
        budget: scenario.budget,
        only_checks: scenario.only_checks.clone(),
        surroundings: Surroundings {
            keepsakes: scenario.surroundings.keepsakes,
            watch_secrets: scenario.surroundings.watch_secrets,
            follow_children: false,
            backend_fault: None,
        },
        estimate,
    })
}

/// The calls in the order in which they are written, for those who go by it.
fn turns(scenario: &Scenario, jobs: &[Job]) -> Result<Vec<Turn>, String> {
    if scenario.order != Order::Listed {
        return Ok(Vec::new());
    }
    let turn = |call: &Call| {
        let (program, stage) = program_and_stage(&call.call)?;
        let of_call = |job: &Job| call.job.is_none_or(|id| id == job.id);
        Ok(Turn {
            job: jobs.iter().position(of_call).unwrap_or_default(),
            program,
            stage,
        })
    };
    scenario.calls.iter().map(turn).collect()
}

/// Makes one job of a case. What names no job belongs to the first one, except for probes, which are for all.
fn case_job(
    scenario: &Scenario,
    job: &Job,
    first: bool,
    defaults: &CaseDefaults,
) -> Result<CaseJob, String> {
    let here = |id: Option<u64>| id.map_or(first, |id| id == job.id);
    let exit_codes = match job.exit_codes {
        ExitCodeValues::Strict => ExitCodes::STRICT,
        ExitCodeValues::Runner => ExitCodes::RUNNER,
    };
    let mut runner = defaults.runner.clone();
    defaults
        .calibration
        .apply(runner.custom.get_or_insert_default());
    let mut variables = defaults.variables.clone();
    for (name, value) in &job.variables {
        variables.retain(|(usual, _)| usual != name);
        variables.push((name.clone(), value.clone()));
    }
    if job.large_value_bytes > 0 {
        variables.push(("LARGE_VALUE".to_owned(), "x".repeat(job.large_value_bytes)));
    }
    let job_timeout = match job.timeout {
        Timeout::Long => defaults.calibration.job_timeout(),
        Timeout::Short => defaults.calibration.short_job_timeout(),
    };
    for limit in &job.limits {
        set_limit(*limit, job_timeout, &mut runner, &mut variables);
    }
    let probes = scenario
        .probe
        .iter()
        .filter(|probe| probe.job.is_none_or(|id| id == job.id))
        .map(|data| {
            (
                Stage::from_driver_name(&data.stage),
                probe(&data.does, exit_codes),
            )
        })
        .collect();
    let stimuli = scenario
        .stimulus
        .iter()
        .filter(|data| here(data.job))
        .map(|data| stimulus(data, defaults));
    let calls: Vec<&Call> = scenario
        .calls
        .iter()
        .filter(|call| here(call.job))
        .collect();
    Ok(CaseJob {
        job_id: job.id,
        concurrent_id: job.concurrent_id,
        own_project: job.own_project,
        sequence: if calls.is_empty() {
            Sequence::Job(shape(job))
        } else {
            Sequence::Calls(
                calls
                    .into_iter()
                    .map(|call| planned(call, exit_codes))
                    .collect::<Result<_, _>>()?,
            )
        },
        runner,
        job_timeout,
        exit_codes,
        probes,
        host_environment: match job.environment {
            Environment::Usual => HostEnvironment::Usual,
            Environment::Minimal => HostEnvironment::Minimal,
            Environment::UnusableHome => HostEnvironment::UnusableHome,
        },
        blank_in_temp_dir: job.blank_in_temp_dir,
        variables,
        image: job
            .image
            .clone()
            .or_else(|| defaults.image.clone())
            .filter(|image| !image.is_empty()),
        services: job
            .services
            .clone()
            .unwrap_or_else(|| defaults.services.clone()),
        stimuli: stimuli.collect::<Result<_, _>>()?,
    })
}

/// Sets a limit a second short of the job's: one that is not shorter does not count (D7, E9 to E11).
fn set_limit(
    limit: Limit,
    job_timeout: Duration,
    runner: &mut RunnerConfig,
    variables: &mut Vec<(String, String)>,
) {
    let value = format!("{}s", job_timeout.as_secs().saturating_sub(1));
    match limit {
        Limit::Prepare => runner.prepare_timeout = Some(value),
        Limit::GetSources => runner.get_sources_timeout = Some(value),
        Limit::Script => variables.push(("RUNNER_SCRIPT_TIMEOUT".to_owned(), value)),
        Limit::AfterScript => variables.push(("RUNNER_AFTER_SCRIPT_TIMEOUT".to_owned(), value)),
    }
}

fn shape(job: &Job) -> JobShape {
    JobShape {
        steps: job.steps.clone(),
        after_script: job.after_script,
        cache: job.cache,
        dependencies: job.dependencies,
        artifacts: job.artifacts,
        stage_attempts: job.stage_attempts,
    }
}

/// `prepare`, `run get_sources` → program and stage.
fn program_and_stage(text: &str) -> Result<(Program, Option<Stage>), String> {
    let mut words = text.split_whitespace();
    let program = match words.next() {
        Some("config") => Program::Config,
        Some("prepare") => Program::Prepare,
        Some("run") => Program::Run,
        Some("cleanup") => Program::Cleanup,
        _ => {
            return Err(format!(
                "`{text}` is no call; write config, prepare, cleanup or run <stage>"
            ));
        }
    };
    let stage = words.next().map(Stage::from_driver_name);
    if words.next().is_some() || (program == Program::Run) != stage.is_some() {
        return Err(format!(
            "`{text}` is no call; only run has a stage, and it has exactly one"
        ));
    }
    Ok((program, stage))
}

fn planned(call: &Call, exit_codes: ExitCodes) -> Result<PlannedCall, String> {
    let (program, stage) = program_and_stage(&call.call)?;
    if call.does.is_some() && stage.is_none() {
        return Err(format!(
            "`{}` runs no script, so it cannot say what a script does",
            call.call
        ));
    }
    Ok(PlannedCall {
        program,
        stage,
        new_attempt: call.new_attempt,
        without_job_env: call.without_job_env,
        helpers_killed: call.helpers_killed,
        probe: call.does.as_ref().map(|data| probe(data, exit_codes)),
    })
}

fn probe(data: &ProbeData, exit_codes: ExitCodes) -> Probe {
    let code = data.exit.map(|exit| match exit {
        ExitValue::Code(code) => code,
        ExitValue::Named(NamedExit::SystemFailure) => exit_codes.system_failure,
        ExitValue::Named(NamedExit::BuildFailure) => exit_codes.build_failure,
    });
    let ending = match (data.hang, data.signal, code) {
        (Some(Hang::HeedTerm), ..) => ProbeEnding::Hang,
        (Some(Hang::IgnoreTerm), ..) => ProbeEnding::HangIgnoringTerm,
        (None, Some(signal), _) => ProbeEnding::Signal(signal),
        (None, None, None | Some(0)) => ProbeEnding::Success,
        (None, None, Some(code)) => ProbeEnding::Code(code),
    };
    let memory = |word: &Option<String>| {
        word.as_ref()
            .map(|word| (MEMORY_FILE.to_owned(), word.clone()))
    };
    Probe {
        ending,
        output: match data.output {
            Output::None => ProbeOutput::None,
            Output::Lines => ProbeOutput::Lines(data.lines),
            Output::Unterminated => ProbeOutput::Unterminated,
            Output::Binary => ProbeOutput::Binary,
            Output::Paced => ProbeOutput::Paced,
            Output::Letters => ProbeOutput::Letters,
        },
        remember: memory(&data.remember),
        recall: memory(&data.recall),
        listen: data.listen,
        script_bytes: data.script_bytes,
        holds: data.holds.clone(),
        look_for: if data.look_for_tools {
            TOOLS.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        },
    }
}

fn stimulus(data: &StimulusData, defaults: &CaseDefaults) -> Result<Stimulus, String> {
    let (program, stage) = program_and_stage(&data.during)?;
    let aimed = matches!(data.action, Action::DriverTerm | Action::DriverKill);
    let when = match (&data.marker, &data.child, stage) {
        (None, Some(_), _) if !aimed => {
            return Err(
                "nothing but a signal to the driver can be aimed at a program that it starts"
                    .to_owned(),
            );
        }
        (None, Some(child), stage) => Trigger::Child {
            program,
            stage,
            nth: data.nth,
            child: child_place(child),
        },
        (Some(word), _, Some(stage)) => Trigger::Marker {
            stage,
            word: word.clone(),
        },
        (Some(_), _, None) => {
            return Err(format!(
                "`{}` runs no script, so it prints no marker",
                data.during
            ));
        }
        (None, None, stage) => Trigger::CallStarted {
            program,
            stage,
            nth: data.nth,
            delay: nominal(program, defaults).saturating_mul(data.after_percent) / 100,
        },
    };
    let action = match data.action {
        Action::Cancel => StimulusAction::Cancel,
        Action::Abort => StimulusAction::Abort,
        Action::CallTimeout => StimulusAction::TimeIsUp(TimeLimit::Call),
        Action::JobTimeout => StimulusAction::TimeIsUp(TimeLimit::Job),
        Action::RunnerTerm => StimulusAction::RunnerTerm,
        Action::RunnerTermTwice => StimulusAction::RunnerTermTwice,
        Action::RunnerKill => StimulusAction::RunnerKill,
        Action::DriverTerm => StimulusAction::DriverTerm,
        Action::DriverKill => StimulusAction::DriverKill,
        Action::HelpersKill => StimulusAction::HelpersKill,
    };
    Ok(Stimulus { when, action })
}

fn child_place(data: &Child) -> ChildPlace {
    ChildPlace {
        name: data.name.clone(),
        nth: data.nth,
        moment: match data.moment {
            ChildMoment::Begins => TrapMoment::Begins,
            ChildMoment::Ends => TrapMoment::Ends,
        },
    }
}

fn nominal(program: Program, defaults: &CaseDefaults) -> Duration {
    defaults.calibration.of(program)
}

/// What a job should cost with a driver as quick as calibrated. Only the order of cases depends on it.
fn estimate(job: &CaseJob, defaults: &CaseDefaults) -> Duration {
    let calls = match &job.sequence {
        Sequence::Calls(calls) => calls
            .iter()
            .map(|call| nominal(call.program, defaults))
            .sum(),
        Sequence::Job(shape) => {
            let optional = [
                shape.after_script,
                shape.cache,
                shape.cache,
                shape.dependencies,
                shape.artifacts,
            ];
            let stages = 3 + shape.steps.len() + optional.into_iter().filter(|has| *has).count();
            let around = [Program::Config, Program::Prepare, Program::Cleanup];
            let stages =
                nominal(Program::Run, defaults) * u32::try_from(stages).unwrap_or(u32::MAX);
            around
                .map(|program| nominal(program, defaults))
                .iter()
                .sum::<Duration>()
                + stages
        }
    };
    let waits = job
        .probes
        .values()
        .map(|probe| match (probe.ending, probe.output) {
            // Ended by the stimulus or by a short job timeout; deaf ones wait for SIGKILL besides.
            (ProbeEnding::Hang, _) if job.stimuli.is_empty() => job.job_timeout,
            (ProbeEnding::HangIgnoringTerm, _) => {
                Duration::from_secs(2) + job.job_timeout.min(Duration::from_secs(3))
            }
            (_, ProbeOutput::Paced) => Duration::from_secs(1),
            _ => Duration::ZERO,
        });
    calls + waits.sum::<Duration>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::load_cases;
    use crate::plan::tests::defaults;

    fn case_named(name: &str) -> Case {
        let mut defaults = defaults();
        defaults.calibration.prepare = Duration::from_secs(10);
        let cases = load_cases(&defaults).expect("embedded scenarios are valid");
        cases
            .into_iter()
            .find(|case| case.name == name)
            .unwrap_or_else(|| panic!("no case {name}"))
    }

    #[test]
    fn calls_go_to_the_job_they_name() {
        let case = case_named("isolation/in-turns");
        assert_eq!(case.order, JobOrder::Turns);
        let lengths: Vec<usize> = case
            .jobs
            .iter()
            .map(|job| match &job.sequence {
                Sequence::Calls(calls) => calls.len(),
                Sequence::Job(_) => 0,
            })
            .collect();
        assert_eq!(lengths, [8, 9]);
    }

    #[test]
    fn a_named_exit_is_the_value_the_driver_is_given() {
        let case = case_named("exit-code/build-script/code:system-failure");
        let probe = &case.jobs[0].probes[&Stage::build_script()];
        assert_eq!(
            probe.ending,
            ProbeEnding::Code(ExitCodes::STRICT.system_failure)
        );
        assert!(matches!(case.jobs[0].sequence, Sequence::Calls(_)));
    }

    #[test]
    fn a_delay_is_a_share_of_the_calibrated_time() {
        let case = case_named("signal/terminated-prepare/after_percent:40");
        let Trigger::CallStarted { program, delay, .. } = &case.jobs[0].stimuli[0].when else {
            panic!("a delay")
        };
        assert_eq!(*program, Program::Prepare);
        assert_eq!(*delay, Duration::from_secs(4));
    }

    #[test]
    fn a_call_without_a_stage_is_refused() {
        assert!(program_and_stage("run").is_err());
        assert!(program_and_stage("prepare get_sources").is_err());
        assert!(program_and_stage("walk").is_err());
    }

    #[test]
    fn a_job_may_drop_the_image() {
        assert_eq!(case_named("environment/without-image").jobs[0].image, None);
        assert!(case_named("job/every-stage").jobs[0].image.is_some());
    }
}
