//! Cost of each stage of a request: parse, lookup, SET and GET through a transaction, reply.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redis_protocol::resp2::decode::{decode_bytes, decode_range};
use redis_protocol::resp2::types::{BytesFrame as Frame, RangeFrame};
use redoubt_benches::{Bed, key, set_pipeline};
use redoubt_resp::{Limits, Reply, RequestParser, Status};
use redoubt_store::{Keyspace, Txn};
use std::hint::black_box;

/// Requests per batch of the parser.
const PIPELINE: usize = 16;
/// Keys the executed calls choose from: far more than caches hold.
const KEYS: usize = 1_000_000;

fn parse(criterion: &mut Criterion) {
    let input = set_pipeline(PIPELINE);
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    group.bench_function("pipeline of 16 SET", |bencher| {
        let mut spans = Vec::new();
        bencher.iter_batched_ref(
            || input.clone(),
            |buffer| {
                let mut parser = RequestParser::new();
                spans.clear();
                while let Ok(Status::Complete { .. }) = parser.parse(buffer, &mut spans, &limits) {}
                assert_eq!(spans.len(), 3 * PIPELINE);
            },
            BatchSize::SmallInput,
        );
    });
    // What the request path would pay with the library instead: docs/decisions/0008-request-parser.md.
    let shared = bytes::Bytes::from(input.clone());
    group.bench_function("pipeline of 16 SET, redis-protocol, zero-copy frames", |bencher| {
        bencher.iter(|| {
            let (mut at, mut words) = (0, 0);
            while let Ok(Some((Frame::Array(frames), amount))) = decode_bytes(&shared.slice(at..)) {
                words += frames.len();
                at += amount;
            }
            assert_eq!((at, words), (shared.len(), 3 * PIPELINE));
        });
    });
    group.bench_function("pipeline of 16 SET, redis-protocol, ranges", |bencher| {
        bencher.iter(|| {
            let (mut at, mut words) = (0, 0);
            while let Ok(Some((RangeFrame::Array(frames), amount))) = decode_range(&shared[at..]) {
                words += frames.len();
                at += amount;
            }
            assert_eq!((at, words), (shared.len(), 3 * PIPELINE));
        });
    });
    group.finish();
}

/// What every further partition costs a command that needs all of them: docs/decisions/0003-partitions.md.
fn partitions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hold all partitions");
    for partitions in [16, 64, 256] {
        let space = Keyspace::new(1, partitions, 1);
        let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
        group.bench_function(format!("{partitions}"), |bencher| {
            bencher.iter(|| {
                txn.acquire(space.all_partitions());
                txn.release();
            });
        });
    }
    group.finish();
}

fn lookup(criterion: &mut Criterion) {
    let names: [&[u8]; 4] = [b"GET", b"set", b"ZRANGEBYSCORE", b"nosuchcommand"];
    let mut group = criterion.benchmark_group("lookup");
    group.throughput(Throughput::Elements(names.len() as u64));
    group.bench_function("four names", |bencher| {
        bencher
            .iter(|| names.iter().filter(|name| redoubt_commands::lookup(black_box(name)).is_some()).count());
    });
    group.finish();
}

fn execute(criterion: &mut Criterion) {
    let bed = Bed::new(KEYS);
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let mut rng = fastrand::Rng::with_seed(3);
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("execute");
    group.throughput(Throughput::Elements(1));
    group.bench_function("GET, 1 M keys", |bencher| {
        bencher.iter(|| {
            out.clear();
            bed.run(&[b"GET", keys[rng.usize(..KEYS)].as_bytes()], &mut out);
        });
    });
    group.bench_function("SET, 1 M keys", |bencher| {
        bencher.iter(|| {
            out.clear();
            bed.run(&[b"SET", keys[rng.usize(..KEYS)].as_bytes(), b"0123456789abcdef"], &mut out);
        });
    });
    group.finish();
}

fn reply(criterion: &mut Criterion) {
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(1));
    group.bench_function("bulk of 16 bytes", |bencher| {
        bencher.iter(|| {
            out.clear();
            Reply::new(&mut out, false).bulk(black_box(b"0123456789abcdef"));
        });
    });
    group.bench_function("array of 100 integers", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut reply = Reply::new(&mut out, false);
            reply.array(100);
            (0..100).for_each(|value| reply.int(black_box(value * 1000)));
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = parse, partitions, lookup, execute, reply
}
criterion_main!(benches);
