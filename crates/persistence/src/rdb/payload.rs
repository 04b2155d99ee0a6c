//! Single values as DUMP hands them out: type, value, version, checksum.

use super::input::Input;
use super::output::Output;
use super::read_value::ValueReader;
use super::write_value::{kind_of, write_value};
use super::{VERSION_DEFAULT, VERSION_MAX};
use crate::error::{Error, ErrorKind};
use crc_fast::{CrcAlgorithm, checksum};
use redoubt_store::{EncodingLimits, Value, ValueRef};

const VERSION_LEN: usize = 2;
const CHECKSUM_LEN: usize = 8;

/// A value as DUMP answers it. Expiries of hash fields take a version that not every server reads, so only hashes that
/// have them are written in it.
///
/// # Errors
/// When a part of it is too long for the format.
pub fn dump(value: ValueRef<'_>) -> Result<Vec<u8>, Error> {
    let timed = matches!(value, ValueRef::Hash(hash) if hash.next_expiry().is_some());
    let version = if timed { VERSION_MAX } else { VERSION_DEFAULT };
    let mut output = Output::new(Vec::new(), false, true);
    let kind = kind_of(value, version);
    output.byte(kind);
    write_value(&mut output, kind, value)?;
    let mut payload = output.into_inner()?;
    payload.extend_from_slice(&(version as u16).to_le_bytes());
    let sum = checksum(CrcAlgorithm::Crc64Redis, &payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    Ok(payload)
}

/// The value of a payload.
///
/// # Errors
/// `Frame`, `Version` or `Checksum` where the frame is not right, others where the value is not.
pub fn restore(payload: &[u8], limits: &EncodingLimits) -> Result<Value, Error> {
    let error = |offset: usize, kind| Err(Error { offset: offset as u64, kind });
    let Some((body, stored)) = payload.split_last_chunk::<CHECKSUM_LEN>() else {
        return error(payload.len(), ErrorKind::Frame);
    };
    let Some((value, version)) = body.split_last_chunk::<VERSION_LEN>() else {
        return error(body.len(), ErrorKind::Frame);
    };
    let version = u32::from(u16::from_le_bytes(*version));
    if version > VERSION_MAX {
        return error(value.len(), ErrorKind::Version(version));
    }
    let (stored, computed) = (u64::from_le_bytes(*stored), checksum(CrcAlgorithm::Crc64Redis, body));
    if stored != computed {
        return error(body.len(), ErrorKind::Checksum { stored, computed });
    }
    let mut input = Input::within(value, 0);
    let kind = input.byte()?;
    let restored = ValueReader { input: &mut input, limits }.value(kind)?;
    if input.position() != value.len() as u64 {
        return input.corrupt("more than a value");
    }
    Ok(restored)
}
