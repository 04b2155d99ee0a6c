//! What a server says of its role to those who ask: INFO, ROLE and HELLO. Proxies send writes where they are told `master`.

use crate::ha::{Role, View};
use crate::shared::Shared;
use redoubt_ha::Span;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A primary that takes writes.
    Primary,
    /// A replica, with a link to its primary.
    Replica,
    /// One of a deployment that neither serves nor follows. Where the primary is, as far as it knows.
    Lonely {
        /// Name or address; `?` if nobody is known.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Told {
    /// What this server says now.
    pub(crate) fn of(shared: &Shared) -> Told {
        let linked = || shared.replication.link.lock().is_some();
        match &shared.ha {
            None if shared.replication.follows() => Told::Replica,
            None => Told::Primary,
            // A lease may be over before anybody has drawn the consequences.
            Some(ha) => Told::in_deployment(&ha.view(), ha.gate.lease_left() > Span(0), linked()),
        }
    }

    fn in_deployment(view: &View, is_live: bool, linked: bool) -> Told {
        if is_live && matches!(view.role, Role::Primary { serving: true, .. }) {
            return Told::Primary;
        }
        if linked {
            return Told::Replica;
        }
        let others = view.primary().filter(|primary| primary.node != view.me.node);
        let (host, port) = others.map_or_else(|| ("?".into(), 0), |primary| (primary.host, primary.port));
        Told::Lonely { host, port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::sample;
    use redoubt_ha::Epoch;

    #[test]
    fn only_who_serves_calls_itself_primary() {
        let mut view = sample(1);
        let lonely = Told::Lonely { host: "?".into(), port: 0 };
        for (role, is_live, expected) in [
            (Role::Primary { epoch: Epoch(3), serving: true }, true, Told::Primary),
            (Role::Primary { epoch: Epoch(3), serving: true }, false, lonely.clone()),
            (Role::Primary { epoch: Epoch(3), serving: false }, true, lonely.clone()),
            (Role::Nobody, false, lonely),
        ] {
            view.role = role;
            assert_eq!(Told::in_deployment(&view, is_live, false), expected, "{role:?} {is_live}");
        }
    }

    #[test]
    fn others_name_the_primary() {
        let mut view = sample(2);
        assert_eq!(Told::in_deployment(&view, false, true), Told::Replica);
        view.role = Role::Nobody;
        let expected = Told::Lonely { host: "10.0.0.1".into(), port: 6379 };
        assert_eq!(Told::in_deployment(&view, false, false), expected);
    }
}
