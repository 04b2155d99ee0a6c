//! A decoded reply, and how it is written in conversation files and failure messages.

use crate::words::quote;
use redis_protocol::{resp2, resp3};
use std::fmt;

/// One reply of a server. RESP2's two nulls stay apart, because a client library may tell them apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+text`
    Status(Vec<u8>),
    /// `-text`, or RESP3's bulk error.
    Error(String),
    /// `:1`
    Int(i64),
    /// `$1`
    Bulk(Vec<u8>),
    /// RESP2's `$-1` and RESP3's `_`.
    Nil,
    /// RESP2's `*-1`, known only where it is the whole reply.
    NilArray,
    /// RESP3's `,1.5`
    Double(f64),
    /// RESP3's `#t`
    Bool(bool),
    /// RESP3's `(123`
    Big(Vec<u8>),
    /// RESP3's `=15`, without its format.
    Verbatim(Vec<u8>),
    /// `*2`
    Array(Vec<Reply>),
    /// RESP3's `%1`: keys and values in the order they came.
    Map(Vec<(Reply, Reply)>),
    /// RESP3's `~2`
    Set(Vec<Reply>),
    /// RESP3's `>2`
    Push(Vec<Reply>),
}

impl Reply {
    /// Decodes the reply at the start of `bytes`; None while it is incomplete.
    ///
    /// # Errors
    /// When the bytes are not a reply of that protocol version.
    pub fn decode(bytes: &[u8], resp3: bool) -> anyhow::Result<Option<(Reply, usize)>> {
        if resp3 {
            let frame = resp3::decode::complete::decode(bytes)?;
            return Ok(frame.map(|(frame, used)| (from_resp3(frame), used)));
        }
        if let Some(rest) = bytes.strip_prefix(b"*-1\r\n") {
            return Ok(Some((Reply::NilArray, bytes.len() - rest.len())));
        }
        let frame = resp2::decode::decode(bytes)?;
        Ok(frame.map(|(frame, used)| (from_resp2(frame), used)))
    }

    /// The members of an array, set or push; of a map its keys and values in turn.
    pub fn elements(&self) -> Option<Vec<Reply>> {
        match self {
            Reply::Array(list) | Reply::Set(list) | Reply::Push(list) => Some(list.clone()),
            Reply::Map(pairs) => Some(pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect()),
            _ => None,
        }
    }

    /// The members of an array, set or map.
    ///
    /// # Panics
    /// When the reply is not an aggregate.
    #[track_caller]
    pub fn list(&self) -> Vec<Reply> {
        self.elements().unwrap_or_else(|| panic!("expected an aggregate, got {self}"))
    }

    /// The text of a bulk, status, verbatim or error reply, lossily decoded; a number in decimal.
    ///
    /// # Panics
    /// When the reply is a null or an aggregate.
    #[track_caller]
    pub fn text(&self) -> String {
        match self {
            Reply::Status(bytes) | Reply::Bulk(bytes) | Reply::Big(bytes) | Reply::Verbatim(bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            Reply::Error(text) => text.clone(),
            Reply::Int(value) => value.to_string(),
            Reply::Double(value) => value.to_string(),
            other => panic!("expected a text, got {other}"),
        }
    }

    /// The integer.
    ///
    /// # Panics
    /// When the reply is something else.
    #[track_caller]
    pub fn int(&self) -> i64 {
        match self {
            Reply::Int(value) => *value,
            other => panic!("expected an integer, got {other}"),
        }
    }

    /// Whether this is a null of either kind.
    pub fn is_nil(&self) -> bool {
        matches!(self, Reply::Nil | Reply::NilArray)
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    fn write(&self, out: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        write!(out, "{:indent$}", "")?;
        match self {
            Reply::Status(text) => write!(out, "+{}", String::from_utf8_lossy(text)),
            Reply::Error(text) => write!(out, "-{text}"),
            Reply::Int(value) => write!(out, "(integer) {value}"),
            Reply::Bulk(bytes) => write!(out, "{}", quote(bytes)),
            Reply::Nil | Reply::NilArray => write!(out, "(nil)"),
            Reply::Double(value) => write!(out, "(double) {value}"),
            Reply::Bool(value) => write!(out, "({value})"),
            Reply::Big(digits) => write!(out, "(big) {}", String::from_utf8_lossy(digits)),
            Reply::Verbatim(bytes) => write!(out, "(verbatim) {}", quote(bytes)),
            Reply::Array(list) => aggregate(out, '*', list.len(), list, indent),
            Reply::Set(list) => aggregate(out, '~', list.len(), list, indent),
            Reply::Push(list) => aggregate(out, '^', list.len(), list, indent),
            Reply::Map(pairs) => aggregate(out, '%', pairs.len(), &self.list(), indent),
        }
    }
}

fn aggregate(
    out: &mut fmt::Formatter<'_>,
    mark: char,
    len: usize,
    list: &[Reply],
    indent: usize,
) -> fmt::Result {
    write!(out, "{mark}{len}")?;
    for element in list {
        writeln!(out)?;
        element.write(out, indent + 2)?;
    }
    Ok(())
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out, 0)
    }
}

fn from_resp2(frame: resp2::types::OwnedFrame) -> Reply {
    use resp2::types::OwnedFrame as Frame;
    match frame {
        Frame::SimpleString(text) => Reply::Status(text),
        Frame::Error(text) => Reply::Error(text),
        Frame::Integer(value) => Reply::Int(value),
        Frame::BulkString(bytes) => Reply::Bulk(bytes),
        Frame::Array(list) => Reply::Array(list.into_iter().map(from_resp2).collect()),
        Frame::Null => Reply::Nil,
    }
}

fn from_resp3(frame: resp3::types::OwnedFrame) -> Reply {
    use resp3::types::OwnedFrame as Frame;
    let list = |list: Vec<Frame>| list.into_iter().map(from_resp3).collect();
    match frame {
        Frame::SimpleString { data, .. } => Reply::Status(data),
        Frame::SimpleError { data, .. } => Reply::Error(data),
        Frame::BlobError { data, .. } => Reply::Error(String::from_utf8_lossy(&data).into_owned()),
        Frame::Number { data, .. } => Reply::Int(data),
        Frame::BlobString { data, .. } | Frame::ChunkedString(data) => Reply::Bulk(data),
        Frame::Null => Reply::Nil,
        Frame::Double { data, .. } => Reply::Double(data),
        Frame::Boolean { data, .. } => Reply::Bool(data),
        Frame::BigNumber { data, .. } => Reply::Big(data),
        Frame::VerbatimString { data, .. } => Reply::Verbatim(data),
        Frame::Array { data, .. } => Reply::Array(list(data)),
        Frame::Set { data, .. } => Reply::Set(data.into_iter().map(from_resp3).collect()),
        Frame::Push { data, .. } => Reply::Push(list(data)),
        // The decoder fills maps from their end.
        Frame::Map { data, .. } => {
            Reply::Map(data.into_iter().rev().map(|(k, v)| (from_resp3(k), from_resp3(v))).collect())
        }
        Frame::Hello { .. } => Reply::Error("a server does not send HELLO".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_sets_keep_their_order() {
        let (map, used) =
            Reply::decode(b"%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:5\r\n:4\r\n", true).unwrap().unwrap();
        assert_eq!(map.to_string(), "%2\n  +a\n  (integer) 1\n  +b\n  ~2\n    (integer) 5\n    (integer) 4");
        assert_eq!(used, 28);
    }

    #[test]
    fn nulls_of_resp2_stay_apart() {
        assert_eq!(Reply::decode(b"*-1\r\n", false).unwrap(), Some((Reply::NilArray, 5)));
        assert_eq!(Reply::decode(b"$-1\r\n", false).unwrap(), Some((Reply::Nil, 5)));
        assert_eq!(Reply::decode(b"$1\r\n", false).unwrap(), None);
    }
}
