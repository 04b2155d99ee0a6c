//! Set values.

/// A set value.
#[derive(Clone, Debug, Default)]
pub struct Set {
    len: usize,
}

impl Set {
    /// An empty value.
    pub fn new() -> Set {
        Set::default()
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
