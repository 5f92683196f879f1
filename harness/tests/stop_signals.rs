//! Signals that stop the harness. A program of its own, since signals reach a whole process.

use std::time::{Duration, Instant};

use driver_conformance::process::interrupt::{Interrupt, Urgency};
use rustix::process::{Signal, getpid, kill_process};

/// How long a signal may take to be heeded on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn wait_for(interrupt: &Interrupt, urgency: Urgency) {
    let deadline = Instant::now() + PATIENCE;
    while interrupt.urgency() != urgency {
        assert!(
            Instant::now() < deadline,
            "{urgency:?} was not reached within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_first_signal_asks_for_cleanup_and_the_second_for_an_end() {
    let interrupt = Interrupt::new().expect("pipes can be made");
    interrupt
        .ask_on_stop_signals()
        .expect("signals can be caught");
    assert_eq!(
        (interrupt.urgency(), interrupt.signal()),
        (Urgency::None, None)
    );
    kill_process(getpid(), Signal::TERM).expect("sent");
    wait_for(&interrupt, Urgency::CleanUp);
    assert_eq!(interrupt.signal(), Some(15));
    kill_process(getpid(), Signal::INT).expect("sent");
    wait_for(&interrupt, Urgency::AtOnce);
    assert_eq!(interrupt.signal(), Some(15));
}
