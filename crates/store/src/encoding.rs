//! Thresholds between compact and general encodings, named as in redis.conf.

/// Sizes up to which collections stay in their compact encoding.
/// Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingLimits {
    /// `list-max-listpack-size`: elements when positive, -1..-5 for 4..64 KiB per node.
    pub list_listpack_size: i32,
    /// `hash-max-listpack-entries`, fields.
    pub hash_listpack_entries: usize,
    /// `hash-max-listpack-value`, bytes of a field or value.
    pub hash_listpack_value: usize,
    /// `set-max-intset-entries`.
    pub set_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub set_listpack_entries: usize,
    /// `set-max-listpack-value`, bytes of a member.
    pub set_listpack_value: usize,
    /// `zset-max-listpack-entries`.
    pub zset_listpack_entries: usize,
    /// `zset-max-listpack-value`, bytes of a member.
    pub zset_listpack_value: usize,
    /// `stream-node-max-bytes`, bytes of a block of entries; 0 is no limit.
    pub stream_node_bytes: usize,
    /// `stream-node-max-entries`, entries of a block; 0 is no limit.
    pub stream_node_entries: usize,
}

impl Default for EncodingLimits {
    fn default() -> EncodingLimits {
        EncodingLimits {
            list_listpack_size: -2,
            hash_listpack_entries: 128,
            hash_listpack_value: 64,
            set_intset_entries: 512,
            set_listpack_entries: 128,
            set_listpack_value: 64,
            zset_listpack_entries: 128,
            zset_listpack_value: 64,
            stream_node_bytes: 4096,
            stream_node_entries: 100,
        }
    }
}
