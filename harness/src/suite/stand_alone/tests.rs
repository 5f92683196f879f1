use std::path::PathBuf;

use super::*;
use crate::checks::testing::Scene;
use crate::contract::protocol::SignalResult;
use crate::contract::stage::Program;
use crate::plan::case::Probe;
use crate::trace::{Marker, Place, TraceEvent};

fn event(at_ms: u64, kind: TraceEventKind) -> TraceEvent {
    TraceEvent {
        at: Moment::START + Duration::from_millis(at_ms),
        job: 0,
        kind,
    }
}

/// A prepare, and a stage that is ended when its script has begun.
fn scene() -> Scene {
    let mut scene = Scene::new()
        .call(Program::Prepare, 0)
        .run("get_sources", Probe::default(), 74);
    let attempt = PathBuf::from("/tmp/case/tmp/custom-executor1");
    for call in &mut scene.trace.calls {
        call.temp_dir = attempt.clone();
        call.environment = vec![
            ("PATH".into(), "/bin".into()),
            ("TMPDIR".into(), "/tmp/case/tmp/custom-executor1".into()),
            ("NOTE".into(), "it's $HOME".into()),
        ];
    }
    scene.trace.calls[0].argv = vec!["/srv/driver/prepare".into()];
    let script = "/tmp/case/tmp/custom-executor1/script2/script.".to_owned();
    scene.trace.calls[1].argv = vec!["/srv/driver/run".into(), script, "get_sources".into()];
    scene.trace.calls[1].script = Some("cd /tmp/case/builds\n".into());
    scene.trace.calls[1].nonce = Some("abc".into());
    scene.trace.place = Place {
        root: "/tmp/case".into(),
        directories: vec!["/tmp/case/tmp".into(), "/tmp/case/tmp/two words".into()],
        temp_dirs: vec![(attempt, "{}".into())],
    };
    let (prepare, run) = (CallIndex(0), CallIndex(1));
    let start = Marker {
        word: "start".into(),
        number: None,
    };
    let term = TraceEventKind::SignalSent(run, KillSignal::Term, SignalResult::Delivered);
    scene.trace.events = vec![
        event(0, TraceEventKind::CallStarted(prepare)),
        event(5, TraceEventKind::CallEnded(prepare)),
        event(6, TraceEventKind::CallStarted(run)),
        event(20, TraceEventKind::Marker(run, start)),
        event(70, term),
        event(80, TraceEventKind::CallEnded(run)),
    ];
    scene
}

fn steps(scene: &Scene) -> String {
    let text = script(
        &scene.case,
        &scene.trace,
        &[],
        (Path::new("/srv/driver"), "/bin"),
    );
    let (_, steps) = text
        .split_once("trap 'exit 143' TERM\n")
        .expect("the functions");
    steps.to_owned()
}

#[test]
fn calls_and_signals_come_in_their_order() {
    let expected = r#"
mkdir -m 700 "$root" "$root"/tmp "$root"'/tmp/two words'
: >"$root/no-directory"
files >"$work/before"

temporary_directory "$root"/tmp/custom-executor1 '{}'
environment=(
    PATH="$PATH"
    TMPDIR="$root"/tmp/custom-executor1
    'NOTE=it'\''s $HOME'
)
argv=("$driver"/prepare)
begin 1 prepare "$root"/tmp/custom-executor1
await 1 0

script "$root"/tmp/custom-executor1/script2/script. 'cd '"$root"'/builds
'
argv=("$driver"/run "$root"/tmp/custom-executor1/script2/script. get_sources)
begin 2 'run get_sources' "$root"/tmp/custom-executor1
await_text 2 driver-conformance:abc:start
pause 2 50
signal 2 TERM
await 2 74

conclude 0 0
"#;
    assert_eq!(steps(&scene()), expected);
}

#[test]
fn a_dead_runner_waits_for_nothing() {
    let mut scene = scene();
    scene.trace.events.truncate(4);
    scene.trace.stimuli.push(crate::trace::AppliedStimulus {
        at: Moment::START + Duration::from_millis(21),
        job: 0,
        action: StimulusAction::RunnerKill,
        hit: Some(CallIndex(1)),
    });
    let steps = steps(&scene);
    let end = "await_text 2 driver-conformance:abc:start\nrunner_dies 2\n\nconclude 0 0\n";
    assert!(steps.ends_with(end), "{steps}");
}

#[test]
fn what_a_driver_printed_stays_a_remark() {
    let mut text = String::new();
    remark(&mut text, "actual ", "one\nrm -rf /\r\u{1b}[1m");
    assert_eq!(text, "#   actual one\n#   rm -rf /\u{fffd}\u{fffd}[1m\n");
}
