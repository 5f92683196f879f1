//! A block for `config.toml` with timeouts that follow from how long a driver's calls took, and the reasons as comments.

use std::fmt::Write as _;

use driver_conformance_reports::model::{Call, CallDurations, Report};

use crate::lint::Times;

/// How many times the slowest measured call a timeout is: a busy day, a cold cache.
const MARGIN: u64 = 4;
/// The shortest timeouts, seconds: starting a program on a busy machine takes its time, too.
const CONFIG_S_MIN: u64 = 10;
/// See [`CONFIG_S_MIN`].
const PREPARE_S_MIN: u64 = 60;
/// See [`CONFIG_S_MIN`].
const CLEANUP_S_MIN: u64 = 30;
/// The shortest grace after SIGTERM, seconds.
const GRACEFUL_S_MIN: u64 = 15;
/// Timeouts are told in steps of this many seconds.
const STEP_S: u64 = 5;
/// What GitLab gives to a job unless a project says otherwise, seconds.
const JOB_TIMEOUT_USUAL_S: u64 = 3600;

/// A program of the driver, as the block names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramLine {
    /// `config`, `prepare`, `run`, `cleanup`.
    pub name: &'static str,
    /// The program.
    pub executable: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// How long the calls of a driver took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured<'a> {
    /// Where nothing was done to them.
    pub nominal: &'a [CallDurations],
    /// Where they failed by themselves.
    pub faulty: &'a [CallDurations],
    /// From SIGTERM to their end.
    pub endings: &'a [CallDurations],
}

impl<'a> Measured<'a> {
    /// What a report has.
    pub fn of(report: &'a Report) -> Self {
        Self {
            nominal: &report.durations,
            faulty: &report.faulty_durations,
            endings: &report.ending_durations,
        }
    }

    /// The slowest call of a program, failed ones among them, milliseconds.
    fn worst(&self, call: Call) -> u64 {
        let both = [self.nominal, self.faulty].map(|durations| slowest(durations, call));
        both.into_iter()
            .flatten()
            .map(|(worst, _)| worst)
            .max()
            .unwrap_or(0)
    }

    /// The slowest end after SIGTERM, of any program, milliseconds.
    fn slowest_end(&self) -> Option<u64> {
        self.endings.iter().map(|duration| duration.max_ms).max()
    }
}

/// What the block is made from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The driver's programs; without, there are names to fill in.
    pub programs: &'a [ProgramLine],
    /// How long its calls took; without, defaults are explained.
    pub measured: Measured<'a>,
    /// Times of the emulated runner.
    pub times: Times,
}

/// The timeouts of a block, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// `config_exec_timeout`
    pub config: u64,
    /// `prepare_exec_timeout`
    pub prepare: u64,
    /// `cleanup_exec_timeout`
    pub cleanup: u64,
    /// `graceful_kill_timeout`
    pub graceful: u64,
    /// `force_kill_timeout`
    pub force: u64,
    /// `shutdown_timeout`
    pub shutdown: u64,
}

fn seconds(value: i64) -> u64 {
    value.unsigned_abs()
}

/// The slowest call of a program, and how many there were.
fn slowest(durations: &[CallDurations], call: Call) -> Option<(u64, usize)> {
    let own = || durations.iter().filter(|duration| duration.call == call);
    let worst = own().map(|duration| duration.max_ms).max()?;
    Some((worst, own().map(|duration| duration.count).sum()))
}

/// In steps, upwards.
fn with_margin(milliseconds: u64, least: u64) -> u64 {
    let wanted = (milliseconds * MARGIN).div_ceil(1000);
    wanted.max(least).div_ceil(STEP_S) * STEP_S
}

impl Timeouts {
    /// What follows from measurements, within what the runner's own rules allow.
    pub fn from(basis: &Basis<'_>) -> Self {
        let times = basis.times;
        let worst = |call| basis.measured.worst(call);
        let attempts = seconds(times.prepare_attempts);
        let prepare_max = JOB_TIMEOUT_USUAL_S / attempts - seconds(times.prepare_pause);
        let slowest_prepare_s = worst(Call::Prepare).div_ceil(1000);
        // Three attempts should fit into a job; a driver that is slower than that needs its time all the same.
        let prepare = with_margin(worst(Call::Prepare), PREPARE_S_MIN)
            .min(prepare_max.max(slowest_prepare_s * 2));
        let cleanup = with_margin(worst(Call::Cleanup), CLEANUP_S_MIN);
        let ending = basis
            .measured
            .slowest_end()
            .unwrap_or_else(|| worst(Call::Cleanup));
        let graceful = with_margin(ending, GRACEFUL_S_MIN)
            .min(seconds(times.run_wait) - seconds(times.force_kill) - STEP_S);
        let force = seconds(times.force_kill);
        Self {
            config: with_margin(worst(Call::Config), CONFIG_S_MIN),
            prepare,
            cleanup,
            graceful,
            force,
            shutdown: graceful + force + cleanup,
        }
    }

    /// Whether every measured call, nominal or faulty, would have had its time, and every end.
    pub fn fit(&self, measured: &Measured<'_>) -> bool {
        let within = |call, timeout: u64| measured.worst(call) <= timeout * 1000;
        within(Call::Config, self.config)
            && within(Call::Prepare, self.prepare)
            && within(Call::Cleanup, self.cleanup)
            && measured.slowest_end().unwrap_or(0) <= self.graceful * 1000
    }
}

/// The block.
pub fn config_block(basis: &Basis<'_>) -> String {
    let timeouts = Timeouts::from(basis);
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&format!(
        "# A runner that is stopped waits so long: graceful_kill_timeout + force_kill_timeout + cleanup_exec_timeout.\n\
         # If it is over (default {} s), the runner leaves without cleanup_exec (contract H12).",
        basis.times.shutdown
    ));
    line(&format!("shutdown_timeout = {}\n", timeouts.shutdown));
    line("[[runners]]");
    line("  executor = \"custom\"");
    line("  # url, token and name are written by `gitlab-runner register`.");
    line(
        "  # Directories inside the environment of the job, if config_exec does not print them (contract A5).",
    );
    line("  builds_dir = \"/builds\"");
    line("  cache_dir = \"/cache\"");
    line("\n  [runners.custom]");
    for program in programs(basis) {
        line(&format!(
            "    {}_exec = {}",
            program.name,
            quoted(&program.executable)
        ));
        if !program.args.is_empty() {
            let args: Vec<String> = program
                .args
                .iter()
                .map(|argument| quoted(argument))
                .collect();
            line(&format!(
                "    {}_args = [{}]",
                program.name,
                args.join(", ")
            ));
        }
    }
    text.push_str(&timeout_lines(basis, &timeouts));
    text
}

fn programs(basis: &Basis<'_>) -> Vec<ProgramLine> {
    if !basis.programs.is_empty() {
        return basis.programs.to_vec();
    }
    PROGRAMS
        .map(|name| ProgramLine {
            name,
            executable: format!("/opt/my-driver/{name}"),
            args: Vec::new(),
        })
        .to_vec()
}

/// The names of programs that a block may hold.
const PROGRAMS: [&str; 4] = ["config", "prepare", "run", "cleanup"];

/// The programs that a block names, for one that has only the report of a run and not its driver.
pub fn programs_of(block: &str) -> Vec<ProgramLine> {
    let Ok(block) = block.parse::<toml::Table>() else {
        return Vec::new();
    };
    let custom = || block.get("runners")?.get(0)?.get("custom");
    let value = |name: &str, kind: &str| custom()?.get(format!("{name}_{kind}"));
    let program = |name: &'static str| {
        let args = value(name, "args").and_then(toml::Value::as_array);
        let args = args.into_iter().flatten();
        Some(ProgramLine {
            name,
            executable: value(name, "exec")?.as_str()?.to_owned(),
            args: args
                .filter_map(|argument| Some(argument.as_str()?.to_owned()))
                .collect(),
        })
    };
    PROGRAMS.into_iter().filter_map(program).collect()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Which measurements a timeout follows from.
fn measured(basis: &Basis<'_>, call: Call) -> String {
    let told = |durations: &[CallDurations]| {
        slowest(durations, call).map(|(worst, count)| (spoken(worst), count))
    };
    let steps = format!("{MARGIN} times that, in steps of {STEP_S} s");
    match (told(basis.measured.nominal), told(basis.measured.faulty)) {
        (Some((worst, count)), None) => {
            format!("slowest of {count} measured calls: {worst}; {steps}")
        }
        (Some((worst, count)), Some((faulty, failed))) => format!(
            "slowest of {count} measured calls: {worst}, of {failed} that failed: {faulty}; {steps}"
        ),
        (None, Some((faulty, failed))) => {
            format!("slowest of {failed} calls that failed: {faulty}; {steps}")
        }
        (None, None) => {
            "nothing was measured: a minimum for a quick driver, raise it to what yours takes"
                .to_owned()
        }
    }
}

/// Whether all that was measured fits in.
fn conclusion(basis: &Basis<'_>, timeouts: &Timeouts) -> String {
    let measured = &basis.measured;
    if measured.nominal.is_empty() {
        return String::new();
    }
    let fits = if timeouts.fit(measured) {
        "every measured call fits into these times"
    } else {
        "NOT every measured call fits into these times: make the driver quicker, or raise them and the timeout of jobs"
    };
    format!(
        "\n    # {fits}:\n    # {} that went well, {} that failed, {} that were ended by SIGTERM.\n",
        count(measured.nominal),
        count(measured.faulty),
        count(measured.endings)
    )
}

fn timeout_lines(basis: &Basis<'_>, timeouts: &Timeouts) -> String {
    let times = basis.times;
    let mut text = String::new();
    let measured = |call: Call| measured(basis, call);
    let mut setting = |name: &str, value: u64, reasons: &[String]| {
        text.push('\n');
        for reason in reasons {
            let _ = writeln!(text, "    # {reason}");
        }
        let _ = writeln!(text, "    {name} = {value}");
    };
    let default = |seconds: i64| format!("default {seconds} s (contract A4)");
    setting(
        "config_exec_timeout",
        timeouts.config,
        &[
            measured(Call::Config),
            format!("at least {CONFIG_S_MIN} s; {}", default(times.exec)),
        ],
    );
    setting(
        "prepare_exec_timeout",
        timeouts.prepare,
        &[
            measured(Call::Prepare),
            format!(
                "{} attempts with pauses of {} s fit into a job of {JOB_TIMEOUT_USUAL_S} s (contract D1, D3); {}",
                times.prepare_attempts,
                times.prepare_pause,
                default(times.exec)
            ),
        ],
    );
    setting(
        "cleanup_exec_timeout",
        timeouts.cleanup,
        &[
            measured(Call::Cleanup),
            format!(
                "the job is shown as running until it is over (contract F7); {}",
                default(times.exec)
            ),
        ],
    );
    let ends = count(basis.measured.endings);
    let ended = match basis.measured.slowest_end() {
        Some(worst) => format!(
            "slowest of {ends} ends after SIGTERM: {}; {MARGIN} times that",
            spoken(worst)
        ),
        None => "no call was ended by a signal: reckoned as for cleanup".to_owned(),
    };
    setting(
        "graceful_kill_timeout",
        timeouts.graceful,
        &[
            ended,
            format!(
                "below {} s, or cleanup_exec begins beside a run_exec that is still alive (contract H6, H7); {}",
                times.run_wait,
                default(times.graceful_kill)
            ),
        ],
    );
    setting(
        "force_kill_timeout",
        timeouts.force,
        &[
            "what SIGKILL does not end at once hangs in the kernel: the default is enough"
                .to_owned(),
        ],
    );
    text.push_str(&conclusion(basis, timeouts));
    text
}

fn count(durations: &[CallDurations]) -> usize {
    durations.iter().map(|duration| duration.count).sum()
}

fn spoken(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else {
        // Upwards: who reads it must not find a call that took longer.
        let tenths = milliseconds.div_ceil(100);
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Severity, Surroundings, lint_config};

    fn duration(call: Call, max_ms: u64) -> CallDurations {
        CallDurations {
            call,
            stage: None,
            count: 7,
            p50_ms: max_ms / 2,
            max_ms,
        }
    }

    #[test]
    fn the_programs_of_a_block_can_be_read_back() {
        let line = |name, args: &[&str]| ProgramLine {
            name,
            executable: format!("/opt/my \"own\"/{name}\\\u{e9}"),
            args: args.iter().map(ToString::to_string).collect(),
        };
        let programs = [line("prepare", &["--image", "a b"]), line("run", &[])];
        let block = config_block(&Basis {
            programs: &programs,
            ..basis(&[])
        });
        assert_eq!(programs_of(&block), programs);
        assert_eq!(programs_of("none"), []);
    }

    fn basis(durations: &[CallDurations]) -> Basis<'_> {
        Basis {
            programs: &[],
            measured: Measured {
                nominal: durations,
                ..Measured::default()
            },
            times: Times::RUNNER,
        }
    }

    #[test]
    fn a_slow_driver_gets_its_time() {
        let durations = [
            duration(Call::Config, 40),
            duration(Call::Prepare, 45_300),
            duration(Call::Cleanup, 12_000),
        ];
        let timeouts = Timeouts::from(&basis(&durations));
        assert!(timeouts.fit(&basis(&durations).measured));
        assert_eq!((timeouts.prepare, timeouts.cleanup), (185, 50));
        insta::assert_snapshot!("block-slow", config_block(&basis(&durations)));
    }

    #[test]
    fn what_fails_slowly_and_ends_slowly_has_its_time_too() {
        let nominal = [duration(Call::Prepare, 10_000)];
        let faulty = [
            duration(Call::Prepare, 31_000),
            duration(Call::Cleanup, 20_000),
        ];
        let endings = [duration(Call::Run, 9_000), duration(Call::Prepare, 2_000)];
        let mut basis = basis(&nominal);
        basis.measured.faulty = &faulty;
        basis.measured.endings = &endings;
        let timeouts = Timeouts::from(&basis);
        assert_eq!(
            (timeouts.prepare, timeouts.cleanup, timeouts.graceful),
            (125, 80, 40)
        );
        assert!(timeouts.fit(&basis.measured));
        insta::assert_snapshot!("block-with-faults", config_block(&basis));
        // Longer than the runner waits beside cleanup_exec: no setting helps.
        let endings = [duration(Call::Run, 290_000)];
        basis.measured.endings = &endings;
        assert!(!Timeouts::from(&basis).fit(&basis.measured));
        assert!(config_block(&basis).contains("NOT every measured call"));
    }

    #[test]
    fn three_attempts_fit_into_a_job_unless_the_driver_is_slower() {
        let quick = Timeouts::from(&basis(&[duration(Call::Prepare, 600_000)]));
        assert_eq!(quick.prepare, 1200);
        let slow = Timeouts::from(&basis(&[duration(Call::Prepare, 1_500_000)]));
        assert_eq!(slow.prepare, 3000);
    }

    #[test]
    fn our_own_lint_finds_nothing_in_it() {
        let block = config_block(&basis(&[duration(Call::Prepare, 1000)]));
        let surroundings = Surroundings {
            path_state: &|_| None,
            times: Times::RUNNER,
            isolation_fails: false,
        };
        let problems = lint_config(&block, &surroundings);
        assert!(
            problems
                .iter()
                .all(|problem| problem.severity == Severity::Hint),
            "{problems:?}"
        );
        assert_eq!(problems, []);
    }

    #[test]
    fn without_a_driver_the_defaults_are_explained() {
        insta::assert_snapshot!("block-without-driver", config_block(&basis(&[])));
    }
}
