//! What an allocation of a given size really takes, so that buffers grow to full size classes and MEMORY USAGE is
//! honest.

/// Bytes the allocator sets aside for a request of `bytes`: size classes of jemalloc, four per doubling.
/// Source: the size class table of <https://jemalloc.net/jemalloc.3.html>.
pub(crate) const fn alloc_size(bytes: usize) -> usize {
    if bytes <= 8 {
        return if bytes == 0 { 0 } else { 8 };
    }
    if bytes <= 128 {
        return (bytes + 15) & !15;
    }
    // Between 2^n and 2^(n+1) the classes are 2^(n-2) apart.
    let step = 1usize << ((bytes - 1).ilog2() - 2);
    match bytes.checked_add(step - 1) {
        Some(sum) => sum & !(step - 1),
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::alloc_size;

    #[test]
    fn classes_match_the_published_table() {
        let cases = [(0, 0), (1, 8), (9, 16), (17, 32), (33, 48), (128, 128), (129, 160), (161, 192)];
        for (asked, given) in cases.into_iter().chain([(257, 320), (8192, 8192), (8193, 10240)]) {
            assert_eq!(alloc_size(asked), given, "{asked}");
        }
    }
}
