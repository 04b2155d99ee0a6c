//! The facts of a deployment as the state machine of its Raft group.

use super::types::Facts;
use redoubt_ha::Rules;
use redoubt_ha::entry::{Applied, Entry, Void};
use redoubt_ha::topology::Topology;

impl Facts for Topology {
    type Entry = Entry;
    type Outcome = Result<Applied, Void>;

    fn apply(&mut self, entry: &Entry) -> Self::Outcome {
        Topology::apply(self, entry, Rules::default())
    }
}
