//! What a connection to the primary has to have in common with the client's: compared before requests are sent, brought
//! about by commands whose replies nobody sees.

use crate::client::flag;
use crate::dispatch::Session;
use crate::dispatch::renames::Renames;
use crate::shared::Shared;
use redoubt_resp::Reply;
use smallvec::SmallVec;

/// The state of a connection, as far as the replies to commands on data depend on it, or people who look at the primary's
/// list of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) db: usize,
    pub(super) resp3: bool,
    /// User and password, as the client gave them.
    credentials: Option<(Vec<u8>, Vec<u8>)>,
    name: Vec<u8>,
    library: [Vec<u8>; 2],
    /// CLIENT NO-EVICT and NO-TOUCH.
    flags: [bool; 2],
    /// Keys are watched.
    pub(super) watches: bool,
}

/// A new connection's state.
impl Default for State {
    fn default() -> State {
        State {
            db: 0,
            resp3: false,
            credentials: None,
            name: Vec::new(),
            library: Default::default(),
            flags: [false; 2],
            watches: false,
        }
    }
}

/// Commands, and how many. The node they are for has renamed those that this one has.
pub(super) struct Commands<'n> {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
    renames: Option<&'n Renames>,
}

impl<'n> Commands<'n> {
    pub(super) fn new(renames: Option<&'n Renames>) -> Commands<'n> {
        Commands { bytes: Vec::new(), count: 0, renames }
    }

    pub(super) fn add(&mut self, name: &'static [u8], args: &[&[u8]]) {
        let name = self.renames.and_then(|renames| renames.name_of(name)).unwrap_or(name);
        let words: SmallVec<[&[u8]; 4]> = std::iter::once(name).chain(args.iter().copied()).collect();
        encode(&words, &mut self.bytes);
        self.count += 1;
    }
}

/// Appends a request.
pub(super) fn encode(words: &[&[u8]], out: &mut Vec<u8>) {
    let mut request = Reply::new(out, false);
    request.array(words.len());
    words.iter().for_each(|word| request.bulk(word));
}

impl State {
    /// That of a client.
    pub(super) fn of(session: &Session) -> State {
        let client = &session.client;
        State {
            db: session.db,
            resp3: session.resp3,
            credentials: session.away.credentials.clone(),
            name: client.name.lock().clone(),
            library: [client.lib_name.lock().clone(), client.lib_version.lock().clone()],
            flags: [client.has(flag::NO_EVICT), client.has(flag::NO_TOUCH)],
            watches: session.away.watches,
        }
    }

    /// That of a connection which clients in this state may share; none if theirs must be their own.
    pub(super) fn common(mut self) -> Option<State> {
        let own = self.watches || self.flags != [false; 2];
        self.name.clear();
        self.library = Default::default();
        (!own).then_some(self)
    }

    /// What a connection begins with that is to have this state, from a node of this deployment.
    pub(super) fn greeting<'s>(&self, shared: &'s Shared) -> Commands<'s> {
        let mut commands = State::default().changes(self, shared.renamed.as_ref());
        let cluster = shared.ha.as_ref().and_then(|ha| ha.view().cluster);
        let cluster = cluster.map(|id| format!("{id:032x}")).unwrap_or_default();
        commands.add(b"REPLCONF", &[b"redoubt-relay", cluster.as_bytes()]);
        commands
    }

    /// What brings a connection from this state to that of `wanted`.
    pub(super) fn changes<'n>(&self, wanted: &State, renames: Option<&'n Renames>) -> Commands<'n> {
        let mut commands = Commands::new(renames);
        if let Some((user, password)) =
            wanted.credentials.as_ref().filter(|_| self.credentials != wanted.credentials)
        {
            commands.add(b"AUTH", &[user, password]);
        }
        if self.resp3 != wanted.resp3 {
            commands.add(b"HELLO", &[if wanted.resp3 { b"3" } else { b"2" }]);
        }
        if self.name != wanted.name {
            commands.add(b"CLIENT", &[b"SETNAME", &wanted.name]);
        }
        for (at, option) in [&b"LIB-NAME"[..], b"LIB-VER"].into_iter().enumerate() {
            if self.library[at] != wanted.library[at] {
                commands.add(b"CLIENT", &[b"SETINFO", option, &wanted.library[at]]);
            }
        }
        for (at, option) in [&b"NO-EVICT"[..], b"NO-TOUCH"].into_iter().enumerate() {
            if self.flags[at] != wanted.flags[at] {
                commands.add(b"CLIENT", &[option, if wanted.flags[at] { b"ON" } else { b"OFF" }]);
            }
        }
        if self.db != wanted.db {
            commands.add(b"SELECT", &[wanted.db.to_string().as_bytes()]);
        }
        if self.watches && !wanted.watches {
            commands.add(b"UNWATCH", &[]);
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_said() {
        let new = State::default();
        assert_eq!(new.changes(&new, None).count, 0);
        let wanted = State {
            db: 3,
            resp3: true,
            credentials: Some((b"default".to_vec(), b"secret".to_vec())),
            name: b"n".to_vec(),
            library: [b"lib".to_vec(), Vec::new()],
            flags: [false, true],
            watches: true,
        };
        let all = new.changes(&wanted, None);
        assert_eq!(all.count, 6);
        let text = String::from_utf8(all.bytes).unwrap().replace("\r\n", " ");
        assert_eq!(
            text,
            "*3 $4 AUTH $7 default $6 secret *2 $5 HELLO $1 3 *3 $6 CLIENT $7 SETNAME $1 n \
             *4 $6 CLIENT $7 SETINFO $8 LIB-NAME $3 lib *3 $6 CLIENT $8 NO-TOUCH $2 ON *2 $6 SELECT $1 3 "
        );
        let unwatched = State { watches: false, ..wanted.clone() };
        assert_eq!(wanted.changes(&unwatched, None).bytes, b"*1\r\n$7\r\nUNWATCH\r\n");
    }

    #[test]
    fn commands_go_by_the_names_they_were_given() {
        let rename = |from: &str, to: &str| crate::config::Rename { from: from.into(), to: to.into() };
        let renames = [rename("select", "choose"), rename("AUTH", ""), rename("hello", "AUTH")];
        let renames = Renames::new(&renames).unwrap();
        let wanted = State { db: 3, resp3: true, ..State::default() };
        let all = State::default().changes(&wanted, Some(&renames));
        let text = String::from_utf8(all.bytes).unwrap().replace("\r\n", " ");
        assert_eq!(text, "*2 $4 auth $1 3 *2 $6 choose $1 3 ");
        assert_eq!(renames.name_of(b"AUTH"), None);
    }
}
