//! Boxes and the other objects of a backend: [`world`] is what there is, pure; [`running`] the processes of a box.

pub(crate) mod running;
pub(crate) mod world;
