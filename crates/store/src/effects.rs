//! What a transaction leaves in the replication log: deterministic commands, in order, in one flat buffer.

/// Commands as length-prefixed words. Empty and free of cost while nobody listens.
#[derive(Debug, Default)]
pub struct Effects {
    enabled: bool,
    count: usize,
    bytes: Vec<u8>,
}

impl Effects {
    /// Whether effects are recorded.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Starts or stops recording.
    pub fn enable(&mut self, on: bool) {
        self.enabled = on;
    }

    /// Number of recorded commands.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is recorded.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Records a command on a database.
    pub fn push(&mut self, db: usize, words: &[&[u8]]) {
        if !self.enabled {
            return;
        }
        self.count += 1;
        self.number(db);
        self.number(words.len());
        for word in words {
            self.number(word.len());
            self.bytes.extend_from_slice(word);
        }
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }

    /// Database and words of each command, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
        let mut at = 0;
        (0..self.count).map(move |_| {
            let db = self.read(&mut at);
            let words = self.read(&mut at);
            let words = (0..words)
                .map(|_| {
                    let len = self.read(&mut at);
                    at += len;
                    &self.bytes[at - len..at]
                })
                .collect();
            (db, words)
        })
    }

    fn number(&mut self, value: usize) {
        self.bytes.extend_from_slice(&(value as u32).to_le_bytes());
    }

    fn read(&self, at: &mut usize) -> usize {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[*at..*at + 4]);
        *at += 4;
        u32::from_le_bytes(word) as usize
    }
}
