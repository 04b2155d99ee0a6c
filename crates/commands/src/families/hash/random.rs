//! HRANDFIELD: <https://redis.io/docs/latest/commands/hrandfield/>

use super::write;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::families::members::Repeats;
use hashbrown::HashSet;
use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;
use redoubt_store::{Hash, ValueRef};

/// HRANDFIELD key [count [WITHVALUES]]
pub(crate) fn hrandfield(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let now_ms = ctx.judged_ms();
    // A field drawn must not be due, and all that are not must be equally likely.
    if matches!(ctx.txn.peek(&key), Some(ValueRef::Hash(hash)) if hash.has_due(now_ms)) {
        ctx.txn.expire_due_fields(&key, usize::MAX);
    }
    if args.len() == 2 {
        let mut rng = ctx.rng.fork();
        match ctx.hash(&key)?.and_then(|hash| hash.random(&mut rng)) {
            Some((field, _)) => write(reply, field),
            None => reply.null(),
        }
        return Ok(());
    }
    let (count, values) = parse(args)?;
    let mut rng = ctx.rng.fork();
    let settings = ctx.settings;
    let Some(hash) = ctx.hash(&key)? else {
        reply.array(0);
        return Ok(());
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut writer = PairWriter { values, reply };
    if count < 0 {
        let repeats = Repeats::new(settings, count.unsigned_abs(), writer.reply)?;
        writer.header(wanted);
        for pair in std::iter::repeat_with(|| hash.random(&mut rng)).flatten().take(wanted) {
            if !repeats.go_on(writer.reply)? {
                break;
            }
            writer.pair(pair);
        }
    } else {
        distinct(hash, wanted.min(hash.len()), &mut rng, &mut writer);
    }
    Ok(())
}

const OUT_OF_RANGE: CommandError = CommandError::text("ERR value is out of range");

fn parse(args: &Args<'_>) -> Result<(i64, bool), CommandError> {
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    if args.len() == 3 {
        return Ok((count, false));
    }
    if args.len() > 4 || !args.is(3, "withvalues") {
        return Err(CommandError::Syntax);
    }
    if count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(OUT_OF_RANGE);
    }
    Ok((count, true))
}

/// Answers `wanted` different fields, all subsets being equally likely.
fn distinct(hash: &Hash, wanted: usize, rng: &mut fastrand::Rng, writer: &mut PairWriter<'_, '_>) {
    writer.header(wanted);
    if hash.is_compact() || wanted.saturating_mul(3) > hash.len() {
        // One pass that takes each field with the chance that leaves exactly enough of the rest.
        let (mut needed, mut left) = (wanted, hash.len());
        for pair in hash.iter(i64::MIN) {
            if rng.usize(..left) < needed {
                writer.pair(pair);
                needed -= 1;
            }
            left -= 1;
        }
        return;
    }
    // Few of many: draw until enough differ.
    let mut drawn: HashSet<Vec<u8>, foldhash::fast::RandomState> = HashSet::default();
    while drawn.len() < wanted {
        let Some(pair) = hash.random(rng) else { return };
        if drawn.insert(pair.0.to_vec()) {
            writer.pair(pair);
        }
    }
}

/// Writes fields, with their values as pairs (RESP3) or one after the other (RESP2).
struct PairWriter<'w, 'r> {
    values: bool,
    reply: &'w mut Reply<'r>,
}

impl PairWriter<'_, '_> {
    fn header(&mut self, pairs: usize) {
        let flat = self.values && !self.reply.is_resp3();
        self.reply.array(if flat { pairs * 2 } else { pairs });
    }

    fn pair(&mut self, (field, value): (PackedValue<'_>, PackedValue<'_>)) {
        if self.values && self.reply.is_resp3() {
            self.reply.array(2);
        }
        write(self.reply, field);
        if self.values {
            write(self.reply, value);
        }
    }
}
