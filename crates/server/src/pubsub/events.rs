//! Keyspace notifications. <https://redis.io/docs/latest/develop/use/keyspace-notifications/>

use super::{Delivery, Hub};
use crate::log::Held;
use redoubt_store::{Class, Event};
use std::sync::atomic::Ordering::Relaxed;

/// Classes that `A` stands for.
const ALL: &str = "g$lshzxet";

/// Whether the value of `notify-keyspace-events` asks for `__keyspace@..__` and for `__keyevent@..__` messages.
pub(super) fn targets(setting: &str) -> (bool, bool) {
    (setting.contains('K'), setting.contains('E'))
}

/// Classes that the value of `notify-keyspace-events` asks for: none, if it does not say where to send them.
pub(super) fn classes(setting: &str) -> u32 {
    if targets(setting) == (false, false) {
        return 0;
    }
    let wanted = |letter: char| setting.contains(letter) || (setting.contains('A') && ALL.contains(letter));
    Class::LETTERS
        .iter()
        .filter(|(letter, _)| wanted(*letter))
        .fold(0, |classes, (_, class)| classes | class.bit())
}

impl Hub {
    /// Delivers the events of one commit. `hold`: what must be released before anybody may see them.
    pub(crate) fn notify(&self, delivery: &mut Delivery, events: &[Event], hold: Held) {
        if self.client_count() == 0 {
            return;
        }
        let (keyspace, keyevent) = (self.keyspace.load(Relaxed), self.keyevent.load(Relaxed));
        let mut channel = std::mem::take(&mut delivery.name);
        for event in events {
            let mut db = itoa::Buffer::new();
            let db = db.format(event.db).as_bytes();
            if keyspace {
                name(&mut channel, b"__keyspace@", db, &event.key);
                self.publish(delivery, &channel, event.name.as_bytes(), hold);
            }
            if keyevent {
                name(&mut channel, b"__keyevent@", db, event.name.as_bytes());
                self.publish(delivery, &channel, &event.key, hold);
            }
        }
        delivery.name = channel;
    }
}

fn name(channel: &mut Vec<u8>, prefix: &[u8], db: &[u8], rest: &[u8]) {
    channel.clear();
    for part in [prefix, db, b"__:", rest] {
        channel.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_collected_for_nobody() {
        assert_eq!(classes(""), 0);
        assert_eq!(classes("A"), 0);
        assert_eq!(classes("K"), 0);
        assert_eq!(classes("Kx"), Class::Expired.bit());
        assert_eq!(classes("E$m"), Class::String.bit() | Class::KeyMiss.bit());
        assert_eq!(classes("AE") & Class::KeyMiss.bit(), 0);
        assert_eq!(classes("AE") & Class::New.bit(), 0);
        assert_eq!(classes("AKE").count_ones(), 9);
        assert_eq!(targets("AK"), (true, false));
    }
}
