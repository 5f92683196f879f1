//! User steps and `after_script` (E16, E18).

use super::bash::BashWriter;
use super::commands::{enter_project, user_commands};
use crate::contract::build::Build;
use crate::contract::go_text;
use crate::contract::payload::{STEP_AFTER_SCRIPT, Step};

/// The step of a stage, if the payload has it. `name` is in lower case.
pub(super) fn find_step<'a>(build: &'a Build, name: &str) -> Option<&'a Step> {
    build
        .payload()
        .steps
        .iter()
        .find(|step| go_text::to_lower(&step.name) == name)
}

/// `after_script`, if it has at least one line.
pub(super) fn find_after_script(build: &Build) -> Option<&Step> {
    let step = build
        .payload()
        .steps
        .iter()
        .find(|step| step.name == STEP_AFTER_SCRIPT)?;
    (!step.script.is_empty()).then_some(step)
}

/// The lines of a step. Those of a release are expanded by the runner, since they come from a keyword and not from the
/// user.
pub(super) fn step_lines(build: &Build, step: &Step) -> Vec<String> {
    if step.name == "release" {
        return step
            .script
            .iter()
            .map(|line| build.all_variables().expand_value(line))
            .collect();
    }
    step.script.to_vec()
}

/// `build_script` and its siblings.
pub(super) fn write_step(writer: &mut BashWriter, build: &Build, step: &Step) {
    enter_project(writer, build);
    let runner = build.runner();
    if !runner.pre_build_script.is_empty() {
        user_commands(
            writer,
            build,
            "pre_build_script",
            [runner.pre_build_script.as_str()],
        );
    }
    let lines = step_lines(build, step);
    user_commands(
        writer,
        build,
        "script_step",
        lines.iter().map(String::as_str),
    );
    if !runner.post_build_script.is_empty() {
        user_commands(
            writer,
            build,
            "post_build_script",
            [runner.post_build_script.as_str()],
        );
    }
}

/// `after_script`
pub(super) fn write_after_script(writer: &mut BashWriter, build: &Build, step: &Step) {
    enter_project(writer, build);
    writer.notice("Running after script...");
    user_commands(
        writer,
        build,
        "after_script_step",
        step.script.iter().map(String::as_str),
    );
}
