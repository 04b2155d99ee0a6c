//! Damaged files end in an error that names the place: no panic, no memory taken because a length said so.

mod common;

use common::{files, limits};
use redoubt_persistence::rdb::{Reader, Record};
use redoubt_persistence::{Error, ErrorKind};
use tikv_jemalloc_ctl::thread::allocatedp;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes that reading a small file may allocate in all, freed ones included.
const ALLOCATED_MAX: u64 = 64 << 20;

fn read(file: &[u8], verify: bool) -> Result<(), Error> {
    let allocated = allocatedp::read().expect("jemalloc counts");
    let before = allocated.get();
    let result = Reader::new(file, limits()).and_then(|mut reader| {
        reader.verify_checksum(verify);
        reader.try_for_each(|record| record.map(|record: Record| drop(record)))
    });
    let taken = allocated.get() - before;
    assert!(taken < ALLOCATED_MAX, "{taken} bytes for a file of {}", file.len());
    if let Err(error) = &result {
        assert!(error.offset <= file.len() as u64, "{error}");
    }
    result
}

#[test]
fn cut_anywhere() {
    for file in &files()[..2] {
        read(file, true).expect("whole");
        for len in 0..file.len() {
            // Near the beginning every byte, later one in a few: reading takes the longer.
            if len < 2000 || len % 41 == 0 || len + 200 > file.len() {
                let error = read(&file[..len], true).expect_err("cut");
                assert!(matches!(error.kind, ErrorKind::Truncated), "{len}: {error}");
            }
        }
    }
}

#[test]
fn bytes_changed() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut failed, mut tried) = (0, 0);
    for file in files() {
        for round in 0..1500 {
            let mut damaged = file.clone();
            for _ in 0..=round % 3 {
                let at = rng.usize(..damaged.len());
                damaged[at] = rng.u8(..);
            }
            if damaged == file {
                continue;
            }
            tried += 1;
            failed += usize::from(read(&damaged, false).is_err());
            // A version without checksum is the one change it cannot find.
            if damaged[..9] == file[..9] {
                assert!(read(&damaged, true).is_err());
            }
        }
    }
    assert!(failed > tried / 4, "{failed} of {tried}");
}

#[test]
fn lengths_that_lie() {
    let huge = b"\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xF0";
    let large = b"\x80\xFF\xFF\xFF\xF0";
    for kind in 0..=25u8 {
        for length in [&huge[..], large] {
            for before in [&b""[..], &[0; 8]] {
                let file =
                    [b"REDIS0012".as_slice(), &[kind], b"\x01k", before, length, b"\x01a\x01b"].concat();
                read(&file, true).expect_err("it ends");
            }
        }
    }
    // A compressed string that says it is large.
    let file = [b"REDIS0012\x00\x01k\xC3\x02".as_slice(), large, b"\x00a"].concat();
    read(&file, true).expect_err("it is not");
}
