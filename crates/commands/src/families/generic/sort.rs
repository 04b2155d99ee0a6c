//! SORT and SORT_RO.
//!
//! Rules: <https://redis.io/docs/latest/commands/sort/>

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::number;
use redoubt_resp::Reply;
use redoubt_store::{Class, List, Value, ValueRef};
use std::cmp::Ordering;

/// SORT key [BY pattern] [LIMIT offset count] [GET pattern...] [ASC|DESC] [ALPHA] [STORE destination].
pub fn sort(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args, true)?;
    let rows = run(ctx, args.get(1), &options)?;
    match options.store {
        None => answer(&rows, reply),
        Some(destination) => store(ctx, destination, &rows, reply),
    }
    Ok(())
}

/// SORT_RO: as SORT, without STORE.
pub fn sort_ro(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args, false)?;
    let rows = run(ctx, args.get(1), &options)?;
    answer(&rows, reply);
    Ok(())
}

#[derive(Default)]
struct Options<'a> {
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    /// First element answered, and how many at most.
    limit: Option<(i64, i64)>,
    descending: bool,
    alpha: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>, may_store: bool) -> Result<Options<'a>, CommandError> {
        let mut options = Options::default();
        let mut cursor = args.cursor(2);
        while !cursor.is_done() {
            if cursor.token("ASC") {
                options.descending = false;
            } else if cursor.token("DESC") {
                options.descending = true;
            } else if cursor.token("ALPHA") {
                options.alpha = true;
            } else if cursor.remaining() > 2 && cursor.token("LIMIT") {
                options.limit = Some((cursor.int()?, cursor.int()?));
            } else if cursor.token("BY") {
                options.by = Some(cursor.word()?);
            } else if cursor.token("GET") {
                options.get.push(cursor.word()?);
            } else if may_store && cursor.token("STORE") {
                options.store = Some(cursor.word()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether BY names no element-dependent key: the elements keep their order.
    fn unsorted(&self) -> bool {
        self.by.is_some_and(|pattern| !pattern.contains(&b'*'))
    }

    /// Positions to answer of `len` sorted elements.
    fn window(&self, len: usize) -> std::ops::Range<usize> {
        let Some((offset, count)) = self.limit else { return 0..len };
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    /// Text; a missing one comes first.
    Text(Option<Vec<u8>>),
    /// The element itself.
    Own,
}

/// The sorted, cut and looked-up values; a missing one is `None`.
type Rows = Vec<Option<Vec<u8>>>;

fn run(ctx: &mut Context<'_>, name: &[u8], options: &Options<'_>) -> Result<Rows, CommandError> {
    let (mut elements, is_set) = elements(ctx, name)?;
    // A set has no order of its own; what is stored must not depend on the one it happens to have here.
    let by_itself = is_set && options.unsorted() && options.store.is_some();
    if by_itself {
        elements.sort_unstable();
    } else if !options.unsorted() {
        elements = sorted(ctx, elements, options)?;
    }
    if options.descending && (options.unsorted() || by_itself) {
        elements.reverse();
    }
    let window = options.window(elements.len());
    let mut rows = Rows::new();
    for element in elements.drain(window) {
        if options.get.is_empty() {
            rows.push(Some(element));
            continue;
        }
        for pattern in &options.get {
            rows.push(value_at(ctx, pattern, &element));
        }
    }
    Ok(rows)
}

/// The elements in the order they are kept in, and whether they come from a set.
fn elements(ctx: &mut Context<'_>, name: &[u8]) -> Result<(Vec<Vec<u8>>, bool), CommandError> {
    let key = ctx.key(name);
    match ctx.txn.get(&key) {
        None => Ok((Vec::new(), false)),
        Some(ValueRef::List(list)) => Ok((list.iter().map(|element| element.to_vec()).collect(), false)),
        Some(ValueRef::Set(set)) => Ok((set.iter().map(|member| member.to_vec()).collect(), true)),
        Some(ValueRef::SortedSet(zset)) => {
            Ok((zset.iter().map(|(member, _)| member.to_vec()).collect(), false))
        }
        Some(_) => Err(CommandError::WrongType),
    }
}

fn sorted(
    ctx: &mut Context<'_>,
    elements: Vec<Vec<u8>>,
    options: &Options<'_>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut weighted = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = weight(ctx, &element, options)?;
        weighted.push((weight, element));
    }
    weighted.sort_unstable_by(|a, b| {
        let order = compare(a, b);
        if options.descending { order.reverse() } else { order }
    });
    Ok(weighted.into_iter().map(|(_, element)| element).collect())
}

fn weight(ctx: &mut Context<'_>, element: &[u8], options: &Options<'_>) -> Result<Weight, CommandError> {
    let text = options.by.map(|pattern| value_at(ctx, pattern, element));
    if options.alpha {
        return Ok(text.map_or(Weight::Own, Weight::Text));
    }
    let text = match &text {
        None if element.is_empty() => return Ok(Weight::Number(0.0)),
        None => element,
        Some(None) => return Ok(Weight::Number(0.0)),
        Some(Some(text)) if text.is_empty() => return Ok(Weight::Number(0.0)),
        Some(Some(text)) => text,
    };
    let refusal = CommandError::text("ERR One or more scores can't be converted into double");
    number::parse_f64(text).map(Weight::Number).ok_or(refusal)
}

/// Equal weights are told apart by the elements, so that the outcome is the same everywhere.
fn compare(a: &(Weight, Vec<u8>), b: &(Weight, Vec<u8>)) -> Ordering {
    let by_weight = match (&a.0, &b.0) {
        (Weight::Number(a), Weight::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    by_weight.then_with(|| a.1.cmp(&b.1))
}

/// The value a BY or GET pattern names for an element: `#` is the element, the first `*` stands for it, and what
/// follows `->` behind it is a field of a hash.
fn value_at(ctx: &mut Context<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = rest.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < rest.len());
    let (suffix, field) = match arrow {
        Some(at) => (&rest[..at], Some(&rest[at + 2..])),
        None => (rest, None),
    };
    let name = [prefix, element, suffix].concat();
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(&name));
    match (ctx.txn.get(&key)?, field) {
        (ValueRef::Str(text), None) => Some(text.to_vec()),
        (ValueRef::Hash(hash), Some(field)) => hash.get(field, now_ms).map(|value| value.to_vec()),
        _ => None,
    }
}

fn answer(rows: &Rows, reply: &mut Reply<'_>) {
    reply.array(rows.len());
    for row in rows {
        match row {
            Some(text) => reply.bulk(text),
            None => reply.null(),
        }
    }
}

/// Stores the rows as a list, missing values as empty texts; no rows remove the destination.
fn store(ctx: &mut Context<'_>, destination: &[u8], rows: &Rows, reply: &mut Reply<'_>) {
    let key = ctx.key(destination);
    if rows.is_empty() {
        if ctx.txn.remove(&key) {
            ctx.txn.changed(&key, Class::Generic, "del");
        }
    } else {
        let mut list = List::new();
        for row in rows {
            list.push_back(row.as_deref().unwrap_or_default(), &ctx.settings.encoding);
        }
        ctx.txn.insert(&key, Value::List(list), None);
        ctx.txn.changed_times(&key, Class::List, "sortstore", rows.len());
    }
    reply.int(rows.len() as i64);
}
