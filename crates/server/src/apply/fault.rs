//! What goes wrong in a stream of commands.

use super::Origin;
use crate::dispatch::{Session, Step};
use crate::slowlog::without_secrets;
use redoubt_commands::{Args, table};
use redoubt_resp::ProtocolError;
use std::sync::atomic::Ordering::Relaxed;

/// Most bytes of a command that are shown.
const SHOWN_BYTES: usize = 256;

/// A command of a stream that was answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call, cut where it is long.
    pub command: String,
    /// The error.
    pub text: String,
    /// The command did not run, or what follows depends on it.
    pub refused: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' was answered with '{}'", self.command, self.text)
    }
}

/// Why a stream cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{kind}, at byte {offset} of the stream")]
pub struct ApplyError {
    /// Where the request begins that could not be run, bytes from the beginning of the stream.
    pub offset: u64,
    /// What is wrong with it.
    pub kind: ApplyErrorKind,
}

/// See `ApplyError`.
#[derive(Debug, thiserror::Error)]
pub enum ApplyErrorKind {
    /// It begins with another byte than requests do.
    #[error("no command begins with '{}'", .0.escape_ascii())]
    NoRequest(u8),
    /// It is no request.
    #[error("{0}")]
    Malformed(ProtocolError),
    /// It is none that this server can run.
    #[error("{0}")]
    Refused(Fault),
    /// Running it ended the session: it panicked, or asked for the end.
    #[error("a command ended the stream")]
    Ended,
}

impl Session {
    /// A call of the stream was answered with an error. Nobody reads that answer, so it is logged here.
    #[cold]
    pub(crate) fn fault(&mut self, args: &Args<'_>, text: &str, refused: bool) -> Step {
        let fault = Fault { command: shown(args), text: text.to_owned(), refused };
        let loading = self.applies == Some(Origin::Loading);
        if loading {
            tracing::error!("an error in the file that is loaded: {fault}");
        } else {
            self.shared.stats.stream_errors.fetch_add(1, Relaxed);
            tracing::error!(
                "an error in the primary's stream, the data may differ from the primary's: {fault}"
            );
        }
        self.faults += 1;
        let ends = loading && refused;
        if ends || self.fault.is_none() {
            self.fault = Some(fault);
        }
        if ends { Step::Close } else { Step::Done }
    }
}

/// A call as the log shows it.
fn shown(args: &Args<'_>) -> String {
    let name = table::lookup(args.get(0)).map_or("", |command| command.full_name);
    let mut line = String::new();
    for word in without_secrets(name, args.words()) {
        if line.len() + word.len() > SHOWN_BYTES {
            line += " ...";
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += &word.escape_ascii().to_string();
    }
    line
}
