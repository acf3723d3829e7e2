//! What damages valid files: for the property tests of every crate that reads foreign bytes, and for
//! `fuzz/`.
#![allow(dead_code, unreachable_pub)]

use serde_json::{Value, json};

/// `valid`, altered as `edits` say: where the first byte is odd, the rest is the file; else it is
/// a list of edits of four bytes, each an operation, a place, and a value.
pub fn damaged(valid: &[u8], edits: &[u8]) -> Vec<u8> {
    let edits = match edits.split_first() {
        Some((first, rest)) if first % 2 == 1 => return rest.to_vec(),
        Some((_, rest)) => rest,
        None => edits,
    };
    let mut bytes = valid.to_vec();
    for edit in edits.chunks_exact(4) {
        if bytes.is_empty() {
            break;
        }
        let (at, value) = (usize::from(u16::from_le_bytes([edit[1], edit[2]])) % bytes.len(), edit[3]);
        let end = bytes.len().min(at + 8);
        match edit[0] {
            250.. => bytes.truncate(at),
            op => match op % 4 {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                2 => drop(bytes.drain(at..at + 1)),
                _ => bytes[at..end].fill(value),
            },
        }
    }
    bytes
}

/// The value at the end of a path: each pick chooses a child.
fn descend<'a>(value: &'a mut Value, picks: &[u8]) -> &'a mut Value {
    let children = match value {
        Value::Array(list) => list.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    let (Some((&pick, rest)), 1..) = (picks.split_first(), children) else { return value };
    let pick = usize::from(pick) % children;
    match value {
        Value::Array(list) => descend(&mut list[pick], rest),
        Value::Object(fields) => descend(fields.values_mut().nth(pick).unwrap(), rest),
        leaf => leaf,
    }
}

/// `valid` with the value at the end of a path of `picks` replaced.
pub fn altered(valid: &[u8], picks: &[u8], value: u8) -> Vec<u8> {
    let Ok(mut whole) = serde_json::from_slice::<Value>(valid) else { return valid.to_vec() };
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(1 << 24),
        json!(u64::MAX),
        json!(0.5),
        json!(1e308),
        json!(""),
        json!("a"),
        json!("\u{10ffff}"),
        json!([]),
        json!([[0]]),
        json!({}),
        json!({ "type": "Sequence", "0": 1 }),
    ];
    *descend(&mut whole, picks) = values[usize::from(value) % values.len()].clone();
    whole.to_string().into_bytes()
}
