//! What an answer says of a write.

use crate::history::Outcome;
use redoubt_tests::Reply;

/// Errors that promise that nothing was done. Every other error leaves it open.
const REFUSALS: &[&str] = &[
    "READONLY",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "LOADING",
    "TRYAGAIN",
    "REDIRECT",
    "MOVED",
    "MISCONF",
    "NOAUTH",
    "OOM",
];

/// What a reply, or the lack of one, says.
pub fn of(reply: &anyhow::Result<Reply>) -> (Outcome, Option<Box<str>>) {
    match reply {
        Ok(Reply::Error(text)) => {
            let refused = text.split(' ').next().is_some_and(|word| REFUSALS.contains(&word));
            let outcome = if refused { Outcome::Refused } else { Outcome::Unknown };
            (outcome, Some(text.as_str().into()))
        }
        Ok(_) => (Outcome::Acked, None),
        Err(error) => (Outcome::Unknown, Some(format!("{error:#}").into())),
    }
}
