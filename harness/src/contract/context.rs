//! Cancellation contexts: a tree of deadlines and cancellations, as the runner's own code has them.
//!
//! Which context a call hangs on decides what ends it (contract D, E1, F2, H5, H6). A context is over when it was
//! cancelled, when its deadline passed, or when its parent is over; the first of these is its error for good.

use std::time::Duration;

use super::moment::Moment;

/// Why a context is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// Someone cancelled it.
    Canceled,
    /// Its deadline passed.
    DeadlineExceeded,
}

impl ContextError {
    /// The error's text in the runner's logs.
    pub fn message(self) -> &'static str {
        match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        }
    }
}

/// What a deadline stands for, where the runner words its own message for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No message of its own.
    Plain(ContextError),
    /// `prepare_timeout` of this length (D7).
    PrepareTimeout(Duration),
    /// `get_sources_timeout` of this length (E9).
    GetSourcesTimeout(Duration),
}

/// A context in [`Contexts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextId(usize);

#[derive(Debug, Clone)]
struct Context {
    parent: Option<ContextId>,
    deadline: Option<(Moment, Cause)>,
    over: Option<(ContextError, Cause)>,
}

/// All contexts of one job.
#[derive(Debug, Clone, Default)]
pub struct Contexts {
    all: Vec<Context>,
}

impl Contexts {
    /// A context without parent, which nothing but its own deadline or [`cancel`](Self::cancel) ends.
    pub fn background(&mut self) -> ContextId {
        self.push(Context {
            parent: None,
            deadline: None,
            over: None,
        })
    }

    /// A child that can be cancelled on its own.
    pub fn child(&mut self, parent: ContextId) -> ContextId {
        let over = self.all[parent.0].over;
        self.push(Context {
            parent: Some(parent),
            deadline: None,
            over,
        })
    }

    /// A child with a deadline. A deadline that is not before the parent's has no effect and no cause of its own.
    pub fn child_with_timeout(
        &mut self,
        parent: ContextId,
        now: Moment,
        timeout: Duration,
        cause: Cause,
    ) -> ContextId {
        let id = self.child(parent);
        let deadline = now + timeout;
        let sooner = self
            .deadline(parent)
            .is_none_or(|inherited| deadline < inherited);
        if sooner {
            self.all[id.0].deadline = Some((deadline, cause));
        }
        id
    }

    /// Ends a context and all below it, unless it is over already.
    pub fn cancel(&mut self, id: ContextId) {
        let reason = (ContextError::Canceled, Cause::Plain(ContextError::Canceled));
        self.end(id, reason);
    }

    /// Lets the context's own deadline pass now, if it has one.
    pub fn expire(&mut self, id: ContextId) {
        if let Some((_, cause)) = self.all[id.0].deadline {
            self.end(id, (ContextError::DeadlineExceeded, cause));
        }
    }

    /// Lets all deadlines up to `now` pass.
    pub fn advance(&mut self, now: Moment) {
        for index in 0..self.all.len() {
            let context = &self.all[index];
            if let (None, Some((deadline, cause))) = (context.over, context.deadline)
                && deadline <= now
            {
                self.end(ContextId(index), (ContextError::DeadlineExceeded, cause));
            }
        }
    }

    /// Why the context is over, or `None` while it lives.
    pub fn error(&self, id: ContextId) -> Option<ContextError> {
        self.all[id.0].over.map(|(error, _)| error)
    }

    /// What ended it, or `None` while it lives.
    pub fn cause(&self, id: ContextId) -> Option<Cause> {
        self.all[id.0].over.map(|(_, cause)| cause)
    }

    /// The soonest deadline that binds it.
    pub fn deadline(&self, id: ContextId) -> Option<Moment> {
        let context = &self.all[id.0];
        let own = context.deadline.map(|(deadline, _)| deadline);
        let inherited = context.parent.and_then(|parent| self.deadline(parent));
        match (own, inherited) {
            (Some(own), Some(inherited)) => Some(own.min(inherited)),
            (own, inherited) => own.or(inherited),
        }
    }

    fn push(&mut self, context: Context) -> ContextId {
        self.all.push(context);
        ContextId(self.all.len() - 1)
    }

    /// Children always have a higher number than their parent, so one pass reaches all descendants.
    fn end(&mut self, id: ContextId, reason: (ContextError, Cause)) {
        if self.all[id.0].over.is_some() {
            return;
        }
        self.all[id.0].over = Some(reason);
        for index in id.0 + 1..self.all.len() {
            let context = &self.all[index];
            let parent_over = context.parent.and_then(|parent| self.all[parent.0].over);
            if context.over.is_none()
                && let Some(inherited) = parent_over
            {
                self.all[index].over = Some(inherited);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_cancel_reaches_descendants_but_not_the_parent() {
        let mut contexts = Contexts::default();
        let root = contexts.background();
        let child = contexts.child(root);
        let grandchild = contexts.child(child);
        contexts.cancel(child);
        assert_eq!(contexts.error(grandchild), Some(ContextError::Canceled));
        assert_eq!(contexts.error(root), None);
    }

    #[test]
    fn the_first_reason_stays() {
        let mut contexts = Contexts::default();
        let root = contexts.background();
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let child = contexts.child_with_timeout(root, Moment::START, SECOND, plain);
        contexts.cancel(child);
        contexts.advance(Moment::after_start(2 * SECOND));
        assert_eq!(contexts.error(child), Some(ContextError::Canceled));
    }

    #[test]
    fn only_an_own_deadline_can_be_made_to_pass() {
        let mut contexts = Contexts::default();
        let root = contexts.background();
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let job = contexts.child_with_timeout(root, Moment::START, SECOND, plain);
        let stage = contexts.child(job);
        contexts.expire(stage);
        assert_eq!(contexts.error(stage), None);
        contexts.expire(job);
        assert_eq!(contexts.cause(stage), Some(plain));
    }

    #[test]
    fn a_later_deadline_than_the_parents_has_no_cause_of_its_own() {
        let mut contexts = Contexts::default();
        let root = contexts.background();
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let job = contexts.child_with_timeout(root, Moment::START, SECOND, plain);
        let prepare =
            contexts.child_with_timeout(job, Moment::START, SECOND, Cause::PrepareTimeout(SECOND));
        contexts.advance(Moment::after_start(SECOND));
        assert_eq!(contexts.cause(prepare), Some(plain));
    }

    #[test]
    fn a_context_made_below_a_dead_one_is_dead() {
        let mut contexts = Contexts::default();
        let root = contexts.background();
        contexts.cancel(root);
        let late = contexts.child(root);
        assert_eq!(contexts.error(late), Some(ContextError::Canceled));
    }
}
