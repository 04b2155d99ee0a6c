//! Where a relayed client's requests go now: pure.

use crate::ha::{Endpoint, Route};
use std::time::Duration;

/// What is known.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// Where commands on data go; `Local` only once this node serves.
    pub(super) route: &'a Route,
    /// Whom there is a connection to, or one being made.
    pub(super) upstream: Option<&'a Endpoint>,
    /// Whether the connection is made and has accepted what it begins with.
    pub(super) is_ready: bool,
    /// Whether any byte of an unanswered request was sent on it.
    pub(super) in_flight: bool,
    /// Whether any request is not answered.
    pub(super) unanswered: bool,
    /// Since when requests wait that cannot be sent, or a connection is not made.
    pub(super) waited: Duration,
    /// Since when the connection is not to the primary.
    pub(super) strayed: Duration,
    /// No connection is to be tried again yet.
    pub(super) rests: bool,
    pub(super) limits: Limits,
}

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests wait for a primary.
    pub(super) patience: Duration,
    /// A node that leads no more answers what it was sent.
    pub(super) grace: Duration,
    /// A connection is made.
    pub(super) connect: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nothing, for now.
    Keep,
    /// Give the connection up.
    Leave,
    /// Make one.
    Connect(Endpoint),
    /// Requests are executed here.
    Home,
    /// Answer all requests with this error.
    Fail(&'static str),
}

/// The answer to requests that have waited for too long.
pub(super) const LATE: &str = "CLUSTERDOWN no primary could be reached in time";

/// Decides.
pub(super) fn course(facts: &Facts<'_>) -> Course {
    match facts.upstream {
        Some(upstream) => with_upstream(facts, upstream),
        None => without(facts),
    }
}

fn with_upstream(facts: &Facts<'_>, upstream: &Endpoint) -> Course {
    let leads = matches!(facts.route, Route::To(primary) if primary == upstream);
    if leads {
        let late = !facts.is_ready && facts.waited >= facts.limits.connect;
        return if late { Course::Leave } else { Course::Keep };
    }
    let limit = match facts.route {
        // It may well lead again.
        Route::Wait if facts.in_flight || !facts.unanswered => facts.limits.patience,
        Route::Wait => {
            return if facts.waited >= facts.limits.patience { Course::Leave } else { Course::Keep };
        }
        _ if facts.in_flight => facts.limits.grace,
        _ => return Course::Leave,
    };
    if facts.in_flight && facts.strayed >= limit { Course::Leave } else { Course::Keep }
}

fn without(facts: &Facts<'_>) -> Course {
    match facts.route {
        Route::Local => Course::Home,
        _ if !facts.unanswered => Course::Keep,
        Route::Down(why) => Course::Fail(why),
        _ if facts.waited >= facts.limits.patience => Course::Fail(LATE),
        Route::To(primary) if !facts.rests => Course::Connect(primary.clone()),
        Route::To(_) | Route::Wait => Course::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redoubt_ha::NodeId;

    const LIMITS: Limits = Limits {
        patience: Duration::from_millis(4000),
        grace: Duration::from_millis(250),
        connect: Duration::from_millis(500),
    };

    fn node(number: u64) -> Endpoint {
        Endpoint { node: NodeId(number), host: "127.0.0.1".into(), port: 7000 + number as u16 }
    }

    fn facts<'a>(route: &'a Route, upstream: Option<&'a Endpoint>) -> Facts<'a> {
        Facts {
            route,
            upstream,
            is_ready: true,
            in_flight: false,
            unanswered: true,
            waited: Duration::ZERO,
            strayed: Duration::ZERO,
            rests: false,
            limits: LIMITS,
        }
    }

    #[test]
    fn without_a_connection() {
        let to = Route::To(node(1));
        assert_eq!(course(&facts(&to, None)), Course::Connect(node(1)));
        assert_eq!(course(&Facts { rests: true, ..facts(&to, None) }), Course::Keep);
        assert_eq!(course(&Facts { unanswered: false, ..facts(&to, None) }), Course::Keep);
        assert_eq!(course(&facts(&Route::Local, None)), Course::Home);
        assert_eq!(course(&facts(&Route::Down("why"), None)), Course::Fail("why"));
        assert_eq!(course(&facts(&Route::Wait, None)), Course::Keep);
        for route in [&Route::Wait, &to] {
            let late = Facts { waited: LIMITS.patience, ..facts(route, None) };
            assert_eq!(course(&late), Course::Fail(LATE));
        }
    }

    #[test]
    fn a_connection_to_the_primary_stays_unless_it_is_not_made() {
        let (to, one) = (Route::To(node(1)), node(1));
        assert_eq!(course(&facts(&to, Some(&one))), Course::Keep);
        let slow = Facts { is_ready: false, waited: LIMITS.connect, ..facts(&to, Some(&one)) };
        assert_eq!(course(&slow), Course::Leave);
    }

    #[test]
    fn a_node_that_leads_no_more_may_answer_for_a_moment() {
        let (to, one) = (Route::To(node(2)), node(1));
        for route in [&to, &Route::Local, &Route::Down("why")] {
            assert_eq!(course(&facts(route, Some(&one))), Course::Leave);
            let flying = |strayed| Facts { in_flight: true, strayed, ..facts(route, Some(&one)) };
            assert_eq!(course(&flying(Duration::ZERO)), Course::Keep);
            assert_eq!(course(&flying(LIMITS.grace)), Course::Leave);
        }
        let wait = |strayed| Facts { in_flight: true, strayed, ..facts(&Route::Wait, Some(&one)) };
        assert_eq!(course(&wait(LIMITS.grace)), Course::Keep);
        assert_eq!(course(&wait(LIMITS.patience)), Course::Leave);
        let unsent = Facts { waited: LIMITS.patience, ..facts(&Route::Wait, Some(&one)) };
        assert_eq!(course(&unsent), Course::Leave);
        let idle = Facts { unanswered: false, ..facts(&Route::Wait, Some(&one)) };
        assert_eq!(course(&idle), Course::Keep);
    }
}
