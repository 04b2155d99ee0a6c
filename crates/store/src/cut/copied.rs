//! Strings copied under the lock of their partition.

use super::CutKey;
use crate::entry::{Entry, Str};
use crate::value::ValueRef;

/// Strings that are longer are saved where they are, bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

enum Text {
    Int(i64),
    /// As many bytes, behind those of the key.
    Bytes(usize),
}

struct Row {
    key: usize,
    text: Text,
    expire_ms: Option<i64>,
    access: u32,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Copied {
    rows: Vec<Row>,
    /// Keys and texts, row by row.
    bytes: Vec<u8>,
}

impl Copied {
    /// Takes a copy of an entry that is a string, and not a long one; returns its bytes.
    pub(super) fn take(&mut self, entry: Entry) -> Option<usize> {
        let string = entry.as_str()?;
        let text = match string {
            Str::Int(value) => Text::Int(value),
            Str::Bytes(bytes) if bytes.len() > TEXT_BYTES_MAX => return None,
            Str::Bytes(bytes) => Text::Bytes(bytes.len()),
        };
        let before = self.bytes.len();
        let key = entry.key();
        self.bytes.extend_from_slice(key);
        if let Str::Bytes(bytes) = string {
            self.bytes.extend_from_slice(bytes);
        }
        let (expire_ms, access) = (entry.expire_ms(), entry.clock());
        self.rows.push(Row { key: key.len(), text, expire_ms, access });
        // At least what a key takes in a file.
        Some((self.bytes.len() - before).max(1))
    }

    /// Shows each, as of database 0.
    pub(super) fn each(&self, mut show: impl FnMut(CutKey<'_>)) {
        let mut rest = self.bytes.as_slice();
        for row in &self.rows {
            let (key, behind) = rest.split_at(row.key);
            let (string, behind) = match row.text {
                Text::Int(value) => (Str::Int(value), behind),
                Text::Bytes(len) => (Str::Bytes(&behind[..len]), &behind[len..]),
            };
            rest = behind;
            let (value, expire_ms, access) = (ValueRef::Str(string), row.expire_ms, row.access);
            show(CutKey { db: 0, key, value, expire_ms, access });
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Forgets all, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.bytes.clear();
    }
}
