//! The order in which the points of a sweep with a budget are tried: some of each kind before more of any.

use std::collections::{BTreeMap, VecDeque};

use crate::plan::seed::nonce;

use super::Point;

/// The points in an order whose beginning is a fair sample: by turns one of each [stratum](Point::stratum), drawn by the
/// seed.
pub fn spread(points: Vec<Point>, seed: u64) -> Vec<Point> {
    let mut kinds: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for point in points {
        kinds.entry(point.stratum()).or_default().push(point);
    }
    let mut kinds: VecDeque<Vec<Point>> = kinds.into_values().collect();
    for points in &mut kinds {
        points.sort_by_cached_key(|point| nonce(seed, &point.name(), 0, 0));
    }
    let mut order = Vec::new();
    while let Some(mut kind) = kinds.pop_front() {
        order.extend(kind.pop());
        if !kind.is_empty() {
            kinds.push_back(kind);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::faults::{BackendPoint, FaultPoint, PointSignal};
    use crate::plan::case::ChildPlace;
    use crate::process::client::TrapMoment;

    use super::*;

    fn some() -> Vec<Point> {
        let mut points = Vec::new();
        for (call, count) in [(0, 1), (1, 7), (3, 4)] {
            for nth in 1..=count {
                points.extend(PointSignal::ALL.map(|signal| {
                    Point::Child(FaultPoint {
                        call,
                        position: 0,
                        place: ChildPlace {
                            name: "rm".to_owned(),
                            nth,
                            moment: TrapMoment::Begins,
                        },
                        signal,
                        script_hangs: false,
                    })
                }));
            }
        }
        points
    }

    /// Two calls, one of many requests, and what lasts in each.
    fn of_backend() -> Vec<Point> {
        let mut points = Vec::new();
        for (call, requests) in [(1, 20), (4, 2)] {
            let all = (1..=requests).map(|nth| Some((nth, "podman-rm".to_owned())));
            for request in all.chain([None]) {
                points.extend(["reply-lost", "hang", "slow"].map(|kind| {
                    Point::Backend(BackendPoint {
                        call,
                        index: call,
                        request: request.clone(),
                        kind,
                    })
                }));
            }
        }
        points
    }

    #[test]
    fn few_requests_are_not_lost_among_many() {
        // Two calls, three things that go wrong, at one request or in the whole call.
        let all = 2 * 3 * 2;
        for seed in 0..8 {
            let order = spread(of_backend(), seed);
            let kinds: BTreeSet<String> = order[..all].iter().map(Point::stratum).collect();
            assert_eq!(kinds.len(), all, "seed {seed}");
            let sorted = |mut points: Vec<Point>| {
                points.sort();
                points
            };
            assert_eq!(sorted(order), sorted(of_backend()));
        }
    }

    #[test]
    fn which_request_stands_for_its_kind_is_drawn() {
        let first = |seed| {
            let order = spread(of_backend(), seed);
            order
                .into_iter()
                .find(|point| point.stratum() == "1/false/hang")
        };
        let drawn: BTreeSet<Option<Point>> = (0..16).map(first).collect();
        assert!(drawn.len() > 4, "{drawn:?}");
    }

    #[test]
    fn the_beginning_has_something_of_each_kind() {
        let order = spread(some(), 1);
        let mut kinds: Vec<_> = order[..6].iter().map(Point::stratum).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 6);
    }

    #[test]
    fn nothing_is_lost_and_the_seed_decides() {
        let (one, other) = (spread(some(), 1), spread(some(), 2));
        assert_eq!(one, spread(some(), 1));
        assert_ne!(one, other);
        let sorted = |mut points: Vec<Point>| {
            points.sort();
            points
        };
        assert_eq!(sorted(one), sorted(some()));
    }
}
