//! Hash values.

/// A hash value.
#[derive(Clone, Debug, Default)]
pub struct Hash {
    len: usize,
}

impl Hash {
    /// An empty value.
    pub fn new() -> Hash {
        Hash::default()
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Heap bytes.
    pub fn mem_usage(&self) -> usize {
        0
    }
    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
}
