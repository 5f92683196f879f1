//! The objects of one case: pure. What there is, what refers to what, and what is refused.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Letters of an id.
const ID_LETTERS: usize = 64;
/// Fewest letters of the beginning of an id by which an object can be named.
const ID_LETTERS_MIN: usize = 3;

/// The kind of the objects in which programs run.
pub const BOX: &str = "box";

/// The attribute of a box that nobody has to remove: once it has ended, it is only remembered.
pub(crate) const RECORD: &str = "record";

/// Where an object is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there; what else can be said of a network?
    Present,
    /// A box that was never started.
    Created,
    /// A box that was started and is not ready yet; it is when it was asked for so often.
    Starting {
        /// How often it says "not yet".
        polls: u32,
    },
    /// A box that runs.
    Running,
    /// A box that ran.
    Stopped {
        /// The exit code of its main program.
        code: i32,
    },
}

impl State {
    /// Programs can be alive in it.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Starting { .. })
    }
}

/// Something a driver has made, or somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// That of no other object.
    pub id: String,
    /// [`BOX`], `network`, `volume`, `image` …
    pub kind: String,
    /// That of no other object of its kind.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// What else is known of it: image, labels, command …
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Ids of the objects it needs.
    pub references: Vec<String>,
    /// Number of the request that made it; 0: somebody else's.
    pub made_by: u64,
    /// When, milliseconds since the Unix epoch.
    pub made_at_ms: u64,
}

impl Object {
    /// It belongs to somebody who is no driver under test.
    pub fn is_foreign(&self) -> bool {
        self.made_by == 0
    }

    /// The last value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let values = self.attributes.get(name)?;
        values.last().map(String::as_str)
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// One of [`reason`].
    pub(crate) reason: &'static str,
    /// Kind of the object.
    pub(crate) kind: String,
    /// The name by which the object was asked for.
    pub(crate) name: String,
    /// The object, if there is one.
    pub(crate) object: Option<Box<Object>>,
    /// In words, for tools whose words nobody has written down.
    pub(crate) message: String,
}

/// Reasons of refusals: words that personalities use.
pub(crate) mod reason {
    pub(crate) const ABSENT: &str = "absent";
    pub(crate) const AMBIGUOUS: &str = "ambiguous";
    pub(crate) const NAME_IN_USE: &str = "name-in-use";
    pub(crate) const NOT_RUNNING: &str = "not-running";
    pub(crate) const NOT_STOPPED: &str = "running";
    pub(crate) const NOT_READY: &str = "not-ready";
    pub(crate) const IN_USE: &str = "in-use";
    pub(crate) const NOT_FOUND_IN_BOX: &str = "program-absent";
    pub(crate) const NOT_EXECUTABLE: &str = "program-not-executable";
    pub(crate) const NO_FILE: &str = "no-file";
    pub(crate) const QUOTA: &str = "quota";
    pub(crate) const PERMISSION: &str = "permission";
    pub(crate) const LOST: &str = "connection-lost";
    pub(crate) const BROKEN: &str = "broken";
    /// The box ended while a program ran in it. Where no words are written for it, the tool ends with 137.
    pub(crate) const DIED: &str = "died";
}

impl Refusal {
    pub(crate) fn new(reason: &'static str, kind: &str, name: &str, message: &str) -> Self {
        Self {
            reason,
            kind: kind.to_owned(),
            name: name.to_owned(),
            object: None,
            message: message.to_owned(),
        }
    }

    pub(crate) fn of(reason: &'static str, object: &Object, name: &str, message: &str) -> Self {
        Self {
            object: Some(Box::new(object.clone())),
            ..Self::new(reason, &object.kind, name, message)
        }
    }

    /// What the words of a personality can name.
    pub(crate) fn fields(&self, program: &str) -> BTreeMap<String, String> {
        let object = self.object.as_deref();
        let id = object.map_or("", |object| object.id.as_str());
        let state = object.map_or("", |object| state_word(object.state));
        let image = object.and_then(|object| object.attribute("image"));
        [
            ("program", program),
            ("kind", &self.kind),
            ("given", &self.name),
            ("name", object.map_or(&self.name, |object| &object.name)),
            ("id", id),
            ("short_id", id.get(..12).unwrap_or_default()),
            ("state", state),
            ("image", image.unwrap_or_default()),
            ("message", &self.message),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.kind, self.name, self.message)
    }
}

/// One word for a state, the same for all personalities; these may have others.
pub(crate) fn state_word(state: State) -> &'static str {
    match state {
        State::Present => "present",
        State::Created => "created",
        State::Starting { .. } => "starting",
        State::Running => "running",
        State::Stopped { .. } => "exited",
    }
}

/// All objects of a case, the oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    objects: Vec<Object>,
    made: u64,
    seed: u64,
}

/// An object to be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) kind: String,
    /// If empty, one is made up.
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
    pub(crate) references: Vec<String>,
    pub(crate) made_by: u64,
    pub(crate) made_at_ms: u64,
}

impl World {
    /// A world whose ids are like those of no world with another seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// All objects.
    pub(crate) fn all(&self) -> &[Object] {
        &self.objects
    }

    /// Those of a kind.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects
            .iter()
            .filter(move |object| object.kind == kind)
    }

    fn position(&self, kind: &str, key: &str) -> Option<usize> {
        let exact = self
            .objects
            .iter()
            .position(|object| object.kind == kind && (object.name == key || object.id == key));
        if exact.is_some() || key.len() < ID_LETTERS_MIN {
            return exact;
        }
        let mut fitting = (0..self.objects.len()).filter(|&index| {
            let object = &self.objects[index];
            object.kind == kind && object.id.starts_with(key)
        });
        let only = fitting.next();
        only.filter(|_| fitting.next().is_none())
    }

    /// Finds an object by its name, its id, or a beginning of its id that no other has.
    pub(crate) fn find(&self, kind: &str, key: &str) -> Result<&Object, Refusal> {
        let found = self.position(kind, key).map(|index| &self.objects[index]);
        found.ok_or_else(|| Refusal::new(reason::ABSENT, kind, key, "there is none"))
    }

    /// Finds an object by its name, its id, or a beginning of its name that no other has: a tool that does so takes a name for
    /// a longer one.
    pub(crate) fn find_by_beginning(&self, kind: &str, key: &str) -> Result<&Object, Refusal> {
        let exact = self.find(kind, key);
        if exact.is_ok() {
            return exact;
        }
        let begins_so = |object: &&Object| object.name.starts_with(key);
        let of_kind = self.objects.iter().filter(|object| object.kind == kind);
        let mut fitting = of_kind.filter(begins_so);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(Refusal::new(
                reason::AMBIGUOUS,
                kind,
                key,
                "there are several",
            )),
            (None, _) => exact,
        }
    }

    /// Changes an object.
    pub(crate) fn change(&mut self, id: &str, change: impl FnOnce(&mut Object)) {
        let found = self.objects.iter_mut().find(|object| object.id == id);
        if let Some(object) = found {
            change(object);
        }
    }

    /// Whether a name is free for an object of a kind.
    pub(crate) fn check_name(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        match self.of_kind(kind).find(|object| object.name == name) {
            Some(object) => {
                let message = "the name is in use";
                Err(Refusal::of(reason::NAME_IN_USE, object, name, message))
            }
            None => Ok(()),
        }
    }

    /// Makes an object.
    pub(crate) fn make(&mut self, plan: Plan) -> Result<&Object, Refusal> {
        self.check_name(&plan.kind, &plan.name)?;
        self.made += 1;
        let id = id(self.seed, self.made);
        let name = if plan.name.is_empty() {
            format!("made-up-{}", id.get(..12).unwrap_or(&id))
        } else {
            plan.name
        };
        let state = if plan.kind == BOX {
            State::Created
        } else {
            State::Present
        };
        self.objects.push(Object {
            id,
            kind: plan.kind,
            name,
            state,
            attributes: plan.attributes,
            references: plan.references,
            made_by: plan.made_by,
            made_at_ms: plan.made_at_ms,
        });
        // It was pushed just now.
        Ok(&self.objects[self.objects.len() - 1])
    }

    /// The objects that need another one.
    pub(crate) fn users<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Object> {
        let needs = move |object: &&Object| object.references.iter().any(|needed| needed == id);
        self.objects.iter().filter(needs)
    }

    /// Whether nobody needs an object.
    pub(crate) fn check_unused(&self, object: &Object, key: &str) -> Result<(), Refusal> {
        match self.users(&object.id).next() {
            Some(user) => {
                let mut refusal = Refusal::of(reason::IN_USE, object, key, "");
                refusal.message.clone_from(&user.id);
                Err(refusal)
            }
            None => Ok(()),
        }
    }

    /// Takes an object out.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Object> {
        let index = self.objects.iter().position(|object| object.id == id)?;
        Some(self.objects.remove(index))
    }

    /// Asks for a box: whether it is ready to run programs. Each time brings it nearer.
    pub(crate) fn poll(&mut self, id: &str) -> Option<State> {
        let object = self.objects.iter_mut().find(|object| object.id == id)?;
        if let State::Starting { polls } = object.state {
            object.state = match polls.checked_sub(1) {
                Some(polls) => State::Starting { polls },
                None => State::Running,
            };
        }
        Some(object.state)
    }
}

/// An id that looks drawn at random (splitmix64), and is the same in each run with the same seed.
fn id(seed: u64, number: u64) -> String {
    let mut state = seed ^ number.wrapping_mul(0xd134_2543_de82_ef95);
    let mut letters = String::with_capacity(ID_LETTERS);
    while letters.len() < ID_LETTERS {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let _never_fails = write!(letters, "{:016x}", mixed ^ (mixed >> 31));
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: &str, name: &str) -> Plan {
        Plan {
            kind: kind.into(),
            name: name.into(),
            ..Plan::default()
        }
    }

    #[test]
    fn objects_are_found_by_name_id_and_unique_beginning() {
        let mut world = World::new(7);
        let id = world.make(plan(BOX, "a")).expect("made").id.clone();
        world.make(plan(BOX, "ab")).expect("made");
        assert_eq!(world.find(BOX, "a").expect("there").id, id);
        assert_eq!(world.find(BOX, &id[..12]).expect("there").name, "a");
        assert_eq!(id.len(), ID_LETTERS);
        assert_eq!(
            world.find("network", "a").expect_err("a box").reason,
            reason::ABSENT
        );
        let again = world.make(plan(BOX, "a")).expect_err("taken");
        assert_eq!(again.fields("podman")["id"], id);
    }

    #[test]
    fn a_beginning_of_one_name_is_found_where_a_tool_looks_for_such() {
        let mut world = World::new(7);
        let id = world
            .make(plan("volume", "job-123"))
            .expect("made")
            .id
            .clone();
        let found = world.find_by_beginning("volume", "job-12").expect("found");
        assert_eq!(found.id, id);
        assert!(world.find("volume", "job-12").is_err());
        world.make(plan("volume", "job-124")).expect("made");
        let of_two = world.find_by_beginning("volume", "job-12");
        assert_eq!(of_two.expect_err("of two").reason, reason::AMBIGUOUS);
        let exact = world
            .make(plan("volume", "job-12"))
            .expect("made")
            .id
            .clone();
        let found = world.find_by_beginning("volume", "job-12").expect("there");
        assert_eq!(found.id, exact);
    }

    #[test]
    fn what_is_needed_is_known() {
        let mut world = World::new(7);
        let network = world.make(plan("network", "n")).expect("made").clone();
        let mut user = plan(BOX, "a");
        user.references.push(network.id.clone());
        let user = world.make(user).expect("made").id.clone();
        let refused = world.check_unused(&network, "n").expect_err("needed");
        assert_eq!((refused.reason, &refused.message), (reason::IN_USE, &user));
        world.remove(&user);
        assert!(world.check_unused(&network, "n").is_ok());
    }

    #[test]
    fn a_box_is_ready_when_it_was_asked_for_often_enough() {
        let mut world = World::new(7);
        let id = world.make(plan(BOX, "a")).expect("made").id.clone();
        world.change(&id, |object| object.state = State::Starting { polls: 2 });
        assert_eq!(world.poll(&id), Some(State::Starting { polls: 1 }));
        assert_eq!(world.poll(&id), Some(State::Starting { polls: 0 }));
        assert_eq!(world.poll(&id), Some(State::Running));
    }
}
