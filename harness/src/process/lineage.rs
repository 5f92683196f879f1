//! Which call each descendant comes from.
//!
//! A process is known by the parent it was first seen with. One that first appears as an orphan (its parent ended before
//! it was seen) is told by its process group, its session, the process whose end made it an orphan, and at last by what
//! was running. Since each job has its own supervisor and its calls follow each other, little is left to the last rule.

use std::collections::HashMap;

use super::tree::Process;

/// What is known about descendants.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    processes: HashMap<i32, u32>,
    groups: HashMap<i32, u32>,
    sessions: HashMap<i32, u32>,
    latest: Option<u32>,
}

impl Lineage {
    /// A call was started with this process as its leader.
    pub(super) fn started(&mut self, call: u32, leader: i32) {
        self.processes.insert(leader, call);
        self.groups.insert(leader, call);
        self.latest = Some(call);
    }

    /// The call of a process that is known already.
    pub(super) fn call_of(&self, pid: i32) -> Option<u32> {
        self.processes.get(&pid).copied()
    }

    /// The call that was started last.
    pub(super) fn latest(&self) -> Option<u32> {
        self.latest
    }

    /// Takes in a picture of all descendants, parents first.
    pub(super) fn observe(&mut self, picture: &[Process], circumstances: &Circumstances) {
        let mut processes = HashMap::with_capacity(picture.len());
        for process in picture {
            let call = self
                .call_of(process.pid)
                .or_else(|| processes.get(&process.parent).copied())
                .or_else(|| self.groups.get(&process.group).copied())
                .or_else(|| self.sessions.get(&process.session).copied())
                .or_else(|| only(&circumstances.orphans_ended))
                .or_else(|| only(&circumstances.leaders_ended))
                .or_else(|| only(&circumstances.running))
                .or(self.latest);
            let Some(call) = call else { continue };
            processes.insert(process.pid, call);
            // Whoever leads a group or session made it, so its members come from the same call.
            if process.group == process.pid {
                self.groups.insert(process.group, call);
            }
            if process.session == process.pid {
                self.sessions.insert(process.session, call);
            }
        }
        self.processes = processes;
    }
}

/// What happened between two pictures of the process tree.
#[derive(Debug, Default)]
pub(super) struct Circumstances {
    /// Calls of the known processes that ended without being a call's leader: whoever forks and exits by turns is still
    /// the same culprit, even when a leader ends at the same time.
    pub(super) orphans_ended: Vec<u32>,
    /// Calls whose leaders ended.
    pub(super) leaders_ended: Vec<u32>,
    /// Calls whose leaders live.
    pub(super) running: Vec<u32>,
}

/// The one call that all of `calls` name, if they agree.
fn only(calls: &[u32]) -> Option<u32> {
    let (first, rest) = calls.split_first()?;
    rest.iter().all(|call| call == first).then_some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPERVISOR: i32 = 10;

    fn running(call: u32) -> Circumstances {
        Circumstances {
            running: vec![call],
            ..Circumstances::default()
        }
    }

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process {
            pid,
            parent,
            group,
            session,
            zombie: false,
        }
    }

    #[test]
    fn a_child_comes_from_the_call_of_its_parent_even_after_it_became_an_orphan() {
        let mut lineage = Lineage::default();
        lineage.started(0, 20);
        let child = process(21, 20, 21, 21);
        lineage.observe(&[process(20, SUPERVISOR, 20, 5), child], &running(0));
        lineage.started(1, 30);
        let orphan = process(21, SUPERVISOR, 21, 21);
        lineage.observe(&[process(30, SUPERVISOR, 30, 5), orphan], &running(1));
        assert_eq!(lineage.call_of(21), Some(0));
    }

    #[test]
    fn a_daemon_that_appears_when_a_leader_ends_comes_from_that_call() {
        let mut lineage = Lineage::default();
        lineage.started(0, 20);
        lineage.started(1, 30);
        let ended = Circumstances {
            leaders_ended: vec![0],
            ..running(1)
        };
        lineage.observe(&[process(40, SUPERVISOR, 40, 40)], &ended);
        assert_eq!(lineage.call_of(40), Some(0));
    }

    #[test]
    fn a_fork_hopper_is_known_by_the_session_it_once_made() {
        let mut lineage = Lineage::default();
        lineage.started(0, 20);
        let ended = Circumstances {
            leaders_ended: vec![0],
            ..Circumstances::default()
        };
        lineage.observe(&[process(21, SUPERVISOR, 21, 21)], &ended);
        lineage.started(1, 30);
        lineage.observe(&[process(99, SUPERVISOR, 21, 21)], &running(1));
        assert_eq!(lineage.call_of(99), Some(0));
    }

    #[test]
    fn a_fork_hopper_with_ever_new_sessions_is_known_by_the_end_of_the_one_before() {
        let mut lineage = Lineage::default();
        lineage.started(1, 30);
        let ended = Circumstances {
            orphans_ended: vec![0],
            leaders_ended: vec![1],
            running: Vec::new(),
        };
        lineage.observe(&[process(98, SUPERVISOR, 98, 98)], &ended);
        assert_eq!(lineage.call_of(98), Some(0));
    }

    #[test]
    fn with_no_other_hint_the_running_call_made_it() {
        let mut lineage = Lineage::default();
        lineage.started(0, 20);
        lineage.started(1, 30);
        lineage.observe(&[process(50, SUPERVISOR, 50, 50)], &running(1));
        assert_eq!(lineage.call_of(50), Some(1));
    }

    #[test]
    fn the_gone_are_forgotten() {
        let mut lineage = Lineage::default();
        lineage.started(0, 20);
        lineage.observe(&[], &Circumstances::default());
        assert_eq!(lineage.call_of(20), None);
    }
}
