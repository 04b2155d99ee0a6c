//! BITOP. <https://redis.io/docs/latest/commands/bitop/>

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::types::bitmap::{self, Operation};
use redoubt_store::{Class, Value, ValueRef};

/// BITOP AND|OR|XOR|NOT destkey key [key ...].
pub fn bitop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let operation = operation(args)?;
    let sources = args.rest(3);
    let mut len = 0;
    for bytes in sources {
        let key = ctx.key(bytes);
        len = len.max(ctx.string(&key)?.map_or(0, |string| string.len()));
    }
    let destination = ctx.key(args.get(2));
    if len > 0 {
        let result = combine(ctx, operation, sources, len);
        ctx.txn.insert(&destination, Value::Raw(result), None);
        ctx.txn.changed(&destination, Class::String, "set");
    } else if ctx.txn.remove(&destination) {
        ctx.txn.changed(&destination, Class::Generic, "del");
    }
    reply.int(len as i64);
    Ok(())
}

fn operation(args: &Args<'_>) -> Result<Operation, CommandError> {
    const OPERATIONS: [(&str, Operation); 4] =
        [("AND", Operation::And), ("OR", Operation::Or), ("XOR", Operation::Xor), ("NOT", Operation::Not)];
    let found = OPERATIONS.iter().find(|(name, _)| args.is(1, name));
    let operation = found.map(|(_, operation)| *operation).ok_or(CommandError::Syntax)?;
    if operation == Operation::Not && args.len() != 4 {
        return Err(CommandError::BitopNotOneSource);
    }
    Ok(operation)
}

/// The outcome over strings (or missing keys) already looked up, the longest of `len` bytes.
fn combine(ctx: &Context<'_>, operation: Operation, sources: &[&[u8]], len: usize) -> Vec<u8> {
    let mut result = Vec::new();
    for (index, bytes) in sources.iter().enumerate() {
        let mut digits = itoa::Buffer::new();
        let source = match ctx.txn.view(&ctx.key(bytes)) {
            Some(ValueRef::Str(string)) => string.as_bytes(&mut digits),
            _ => b"",
        };
        if index == 0 {
            result = bitmap::operation_first(operation, source, len);
        } else {
            bitmap::operation_next(operation, &mut result, source);
        }
    }
    result
}
