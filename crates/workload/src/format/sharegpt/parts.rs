use std::cmp::Ordering;

use rustc_hash::FxHashMap;

use crate::sharegpt::{Field, Index};

/// Most parts of one conversation, where their numbers do not tell that they are parts. The context
/// windows of the models that dumps were cut for (2,048 tokens) make a part of a few kilobytes; few
/// conversations have more than a dozen.
pub(super) const PARTS_MAX: usize = 64;

/// Items that make a conversation.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Group {
    pub(super) id: String,
    /// Its parts in order, one at least.
    pub(super) items: Vec<u32>,
    /// Items that have the id of another item.
    pub(super) repeated: Vec<u32>,
}

/// Numbers of parts, and their items.
type Numbered = Vec<(u64, u32)>;

/// The key and the number of an id `KEY_N`.
pub(super) fn split(id: &[u8]) -> Option<(&[u8], u64)> {
    let at = memchr::memrchr(b'_', id)?;
    let (key, digits) = (&id[..at], &id[at + 1..]);
    // As many as surely fit.
    let is_number = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number = || std::str::from_utf8(digits).ok()?.parse().ok();
    if is_number && !key.is_empty() { Some((key, number()?)) } else { None }
}

/// The conversations of a file, in the order of their first items in it.
pub(super) fn groups(index: &Index) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut keyed: Vec<(&[u8], Numbered)> = Vec::new();
    let mut places: FxHashMap<&[u8], usize> = FxHashMap::default();
    for (item, indexed) in index.items().iter().enumerate() {
        let item = item as u32;
        let parts = match &indexed.id {
            Field::Is(id) => split(id),
            Field::Missing | Field::Other => None,
        };
        if let Some((key, number)) = parts {
            let place = *places.entry(key).or_insert_with(|| {
                keyed.push((key, Vec::new()));
                keyed.len() - 1
            });
            keyed[place].1.push((number, item));
        } else {
            groups.push(Group { id: id(index, item), items: vec![item], repeated: Vec::new() });
        }
    }
    for (key, mut parts) in keyed {
        parts.sort_unstable();
        let mut repeated = Vec::new();
        parts.dedup_by(|(later, item), (number, _)| {
            let is_repeated = later == number;
            repeated.extend(is_repeated.then_some(*item));
            is_repeated
        });
        if parts.len() > 1 && are_parts(index, &parts) {
            let id = String::from_utf8_lossy(key).into_owned();
            let items = parts.into_iter().map(|(_, item)| item).collect();
            groups.push(Group { id, items, repeated });
            continue;
        }
        for (_, item) in parts {
            // Who comes first has the repeated ones; they are counted, whoever has them.
            let repeated = std::mem::take(&mut repeated);
            groups.push(Group { id: id(index, item), items: vec![item], repeated });
        }
    }
    groups.sort_by_key(|group| group.items.iter().min().copied());
    groups
}

/// Whether numbers are those of parts, rather than of conversations that share a name.
fn are_parts(index: &Index, parts: &[(u64, u32)]) -> bool {
    count_messages(index, parts) || parts.len() <= PARTS_MAX && are_cut(index, parts)
}

/// Whether each number is that of the part's first message, as `split_long_conversation.py` has it.
/// Dumps were cleaned after they were cut, so parts may be missing, but not most of them.
fn count_messages(index: &Index, parts: &[(u64, u32)]) -> bool {
    let (mut follows, mut gaps) = (0, 0);
    for pair in parts.windows(2) {
        let (number, item) = pair[0];
        let Field::Is(count) = index.items()[item as usize].messages else { return false };
        match pair[1].0.cmp(&(number + u64::from(count))) {
            Ordering::Less => return false,
            Ordering::Equal => follows += 1,
            Ordering::Greater => gaps += 1,
        }
    }
    follows >= gaps
}

/// Whether the text was cut within an exchange: a part begins with an answer, or one before others
/// ends with what is to be answered.
fn are_cut(index: &Index, parts: &[(u64, u32)]) -> bool {
    let item = |&(_, item): &(u64, u32)| &index.items()[item as usize];
    // Without speakers it is of role/content entries, which are never cut.
    let begins_late = |part| {
        let first = &*item(part).first;
        !first.is_empty() && !matches!(first, b"\"human\"" | b"\"user\"" | b"\"system\"")
    };
    let ends_early =
        |part| matches!(&*item(part).last, b"\"human\"" | b"\"user\"" | b"\"function_call\"");
    parts[1..].iter().any(begins_late) || parts[..parts.len() - 1].iter().any(ends_early)
}

/// The whole id of an item.
fn id(index: &Index, item: u32) -> String {
    match &index.items()[item as usize].id {
        Field::Is(id) if !id.is_empty() => String::from_utf8_lossy(id).into_owned(),
        Field::Other => {
            let row = index.row(item as usize).and_then(|row| row.value());
            let id = row.ok().as_ref().and_then(super::item::id);
            id.unwrap_or_else(|| format!("row-{item}"))
        }
        Field::Is(_) | Field::Missing => format!("row-{item}"),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_id_is_split_at_its_last_underscore_before_a_number() {
        let check = |id: &str, expect: Option<(&str, u64)>| {
            let expect = expect.map(|(key, number)| (key.as_bytes(), number));
            assert_eq!(split(id.as_bytes()), expect, "{id}");
        };
        check("hiWPlMD_0", Some(("hiWPlMD", 0)));
        check("a_b_12", Some(("a_b", 12)));
        check("a__7", Some(("a_", 7)));
        for whole in ["", "a", "_1", "a_", "a_b", "a_1b", "a_-1", "a_1234567890123456789"] {
            check(whole, None);
        }
    }
}
