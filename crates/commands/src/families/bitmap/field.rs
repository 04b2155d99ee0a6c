//! BITFIELD. <https://redis.io/docs/latest/commands/bitfield/>

use super::{change, offset};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use crate::number;
use redoubt_resp::Reply;
use redoubt_store::types::bitmap::{FieldType, Overflow};
use redoubt_store::{Class, Str};

/// One operation of a call.
#[derive(Clone, Copy)]
struct Operation {
    action: Action,
    field: FieldType,
    /// First bit.
    offset: usize,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64, Overflow),
    IncrBy(i64, Overflow),
}

/// BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET type offset value | INCRBY ...] ...
pub fn bitfield(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let operations = parse(ctx, args)?;
    let end = operations.iter().filter(|op| !matches!(op.action, Action::Get)).map(Operation::end).max();
    let Some(end) = end else { return read(ctx, args, &operations, reply) };
    let key = ctx.key(args.get(1));
    let (changes, grown) = change(ctx, &key, end.div_ceil(8), |bytes, grown| {
        reply.array(operations.len());
        let mut changes = 0;
        for operation in &operations {
            let before = operation.field.read(bytes, operation.offset);
            let (answer, wrote) = operation.run(bytes);
            match answer {
                Some(value) => reply.int(value),
                None => reply.null(),
            }
            let differs = grown || operation.field.read(bytes, operation.offset) != before;
            changes += usize::from(wrote && differs);
        }
        (changes, grown)
    })?;
    if changes == 0 && grown {
        // Every operation failed, yet zeros were added. Redis counts no change then and tells no replica.
        ctx.txn.effect(args.words());
    }
    if changes > 0 {
        ctx.txn.changed_times(&key, Class::String, "setbit", changes);
    }
    Ok(())
}

/// BITFIELD_RO key [GET type offset] ... <https://redis.io/docs/latest/commands/bitfield_ro/>
pub fn bitfield_ro(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let operations = parse(ctx, args)?;
    if operations.iter().any(|operation| !matches!(operation.action, Action::Get)) {
        return Err(CommandError::BitfieldRoOnlyGet);
    }
    read(ctx, args, &operations, reply)
}

fn read(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    operations: &[Operation],
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let mut digits = itoa::Buffer::new();
    let string = ctx.string(&key)?.unwrap_or(Str::Bytes(b""));
    let bytes = string.as_bytes(&mut digits);
    reply.array(operations.len());
    operations.iter().for_each(|operation| reply.int(operation.field.read(bytes, operation.offset)));
    Ok(())
}

fn parse(ctx: &Context<'_>, args: &Args<'_>) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut cursor = args.cursor(2);
    while !cursor.is_done() {
        let words = cursor.remaining();
        if words >= 3 && cursor.token("GET") {
            let (field, offset) = place(ctx, &mut cursor)?;
            operations.push(Operation { action: Action::Get, field, offset });
        } else if words >= 4 && cursor.token("SET") {
            let (field, offset) = place(ctx, &mut cursor)?;
            operations.push(Operation { action: Action::Set(cursor.int()?, overflow), field, offset });
        } else if words >= 4 && cursor.token("INCRBY") {
            let (field, offset) = place(ctx, &mut cursor)?;
            operations.push(Operation { action: Action::IncrBy(cursor.int()?, overflow), field, offset });
        } else if words >= 2 && cursor.token("OVERFLOW") {
            overflow = read_overflow(cursor.word()?)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(operations)
}

fn read_overflow(word: &[u8]) -> Result<Overflow, CommandError> {
    const KINDS: [(&[u8], Overflow); 3] =
        [(b"WRAP", Overflow::Wrap), (b"SAT", Overflow::Saturate), (b"FAIL", Overflow::Fail)];
    let found = KINDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    found.map(|(_, kind)| *kind).ok_or(CommandError::BadOverflow)
}

/// Type and offset; `#n` is the n-th field of this width.
fn place(ctx: &Context<'_>, cursor: &mut Cursor<'_>) -> Result<(FieldType, usize), CommandError> {
    let field = field_type(cursor.word()?).ok_or(CommandError::BadFieldType)?;
    let at = match cursor.word()? {
        [b'#', index @ ..] => offset(ctx, index, i64::from(field.bits))?,
        bits => offset(ctx, bits, 1)?,
    };
    Ok((field, at))
}

fn field_type(word: &[u8]) -> Option<FieldType> {
    let (sign, bits) = word.split_first()?;
    let signed = match sign {
        b'i' => true,
        b'u' => false,
        _ => return None,
    };
    let bits = u32::try_from(number::parse_i64(bits)?).ok()?;
    (1..=if signed { 64 } else { 63 }).contains(&bits).then_some(FieldType { signed, bits })
}

impl Operation {
    /// Bit behind the field.
    fn end(&self) -> usize {
        self.offset + self.field.bits as usize
    }

    /// Runs it on a string long enough to be written; the answer (none: null, for OVERFLOW FAIL), and whether it wrote.
    fn run(&self, bytes: &mut [u8]) -> (Option<i64>, bool) {
        let before = self.field.read(bytes, self.offset);
        let (after, answers_before) = match self.action {
            Action::Get => return (Some(before), false),
            Action::Set(value, overflow) => (self.field.fit(value, overflow), true),
            Action::IncrBy(increment, overflow) => (self.field.add(before, increment, overflow), false),
        };
        let Some(after) = after else { return (None, false) };
        self.field.write(bytes, self.offset, after);
        (Some(if answers_before { before } else { after }), true)
    }
}
