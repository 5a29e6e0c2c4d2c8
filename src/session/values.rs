//! The values of a session: names and JSON texts, kept as their stored bytes and decoded only when
//! read.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use bytes::{Buf, BufMut, Bytes};

use crate::session::reserved::is_reserved;

/// Maximum length of a name, in bytes, by its length field.
pub(crate) const NAME_MAX: usize = u16::MAX as usize;
/// Length fields in front of a name and its value.
const ENTRY_HEAD: usize = 6;

/// Number of values that are searched linearly. More of them have an index.
const SCANNED: usize = 32;

/// Entries in ascending order of their names: `u16` length of the name, `u32` length of the JSON,
/// then both texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    bytes: Bytes,
    /// Offset of each entry, if there are many. A single word, since records are moved often.
    index: Option<Arc<Vec<u32>>>,
}

/// New JSON for a name, or `None` to remove it.
pub(crate) type Edits = BTreeMap<Box<str>, Option<Bytes>>;

impl Values {
    /// Parses `bytes`, if every length fits, names are UTF-8 and strictly ascending.
    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let mut rest: &[u8] = &bytes;
        let (mut previous, mut count): (Option<&str>, _) = (None, 0);
        while !rest.is_empty() {
            let (name, _) = entry(&mut rest)?;
            let name = std::str::from_utf8(name).ok()?;
            if previous.is_some_and(|previous| previous >= name) {
                return None;
            }
            previous = Some(name);
            count += 1;
        }
        Some(Self::indexed(bytes, count))
    }

    /// From bytes that are known to be well-formed, with `count` values.
    fn indexed(bytes: Bytes, count: usize) -> Self {
        let none = Self { bytes, index: None };
        if count <= SCANNED {
            return none;
        }
        let (mut rest, mut starts): (&[u8], _) = (&none.bytes, Vec::with_capacity(count));
        loop {
            // A record is far below 4 GiB.
            let start = u32::try_from(none.bytes.len() - rest.len()).unwrap_or(u32::MAX);
            if entry(&mut rest).is_none() {
                return Self { index: Some(Arc::new(starts)), ..none };
            }
            starts.push(start);
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.index.as_ref().map_or_else(|| self.iter().count(), |index| index.len())
    }

    /// Whether both are the same allocation; compares no content.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let (one, other) = (&self.bytes, &other.bytes);
        one.len() == other.len() && (one.is_empty() || one.as_ptr() == other.as_ptr())
    }

    /// The JSON under `name`; shares the record's bytes.
    pub(crate) fn get(&self, name: &str) -> Option<Bytes> {
        self.find(name).map(|value| self.share(value))
    }

    /// The same as a slice.
    pub(crate) fn find(&self, name: &str) -> Option<&[u8]> {
        let Some(index) = &self.index else {
            let mut rest: &[u8] = &self.bytes;
            let mut entries = std::iter::from_fn(|| entry(&mut rest));
            return entries.find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value);
        };
        let at = |start: &u32| {
            let mut rest = self.bytes.get(usize::try_from(*start).ok()?..)?;
            entry(&mut rest)
        };
        let order = |start: &u32| at(start).map(|(found, _)| found).cmp(&Some(name.as_bytes()));
        let place = index.binary_search_by(order).ok()?;
        at(index.get(place)?).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest: &[u8] = &self.bytes;
        std::iter::from_fn(move || {
            let (name, value) = entry(&mut rest)?;
            Some((std::str::from_utf8(name).ok()?, value))
        })
    }

    /// A reserved value. Finds out in one comparison that there is none.
    pub(crate) fn find_reserved(&self, name: &str) -> Option<&[u8]> {
        let (first, _) = entry(&mut &*self.bytes)?;
        if is_reserved(first) { self.find(name) } else { None }
    }

    /// `value`, a slice of these bytes, as a shared reference.
    pub(crate) fn share(&self, value: &[u8]) -> Bytes {
        self.bytes.slice_ref(value)
    }

    /// The reserved values only.
    pub(crate) fn reserved(&self) -> Self {
        let (end, count) = self.reserved_part();
        Self::indexed(self.bytes.slice(..end), count)
    }

    /// The application's values only; `None` if there are no reserved ones.
    pub(crate) fn without_reserved(&self) -> Option<Self> {
        let (end, count) = self.reserved_part();
        (count > 0).then(|| Self::indexed(self.bytes.slice(end..), self.count() - count))
    }

    /// Length and number of the reserved values, which sort first.
    fn reserved_part(&self) -> (usize, usize) {
        let (mut rest, mut end, mut count): (&[u8], _, _) = (&self.bytes, 0, 0);
        while entry(&mut rest).is_some_and(|(name, _)| is_reserved(name)) {
            end = self.bytes.len() - rest.len();
            count += 1;
        }
        (end, count)
    }

    /// These values with `edits` applied, name by name.
    pub(crate) fn edited(&self, edits: &Edits) -> Self {
        if edits.iter().all(|(name, edit)| self.find(name) == edit.as_deref()) {
            return self.clone();
        }
        let added =
            edits.iter().map(|(name, edit)| entry_len(name, edit.as_deref())).sum::<usize>();
        let (mut bytes, mut count) = (Vec::with_capacity(self.bytes.len() + added), 0);
        let (mut kept, mut edits) = (self.iter().peekable(), edits.iter().peekable());
        loop {
            let next = match (kept.peek(), edits.peek()) {
                (None, None) => return Self::indexed(bytes.into(), count),
                (Some((kept, _)), Some((edited, _))) => (**kept).cmp(edited),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            // An edit replaces the existing value of its name.
            let kept = if next.is_le() { kept.next() } else { None };
            let edit = if next.is_ge() { edits.next() } else { None };
            let edit = edit.map(|(name, edit)| edit.as_deref().map(|value| (&**name, value)));
            if let Some((name, value)) = edit.unwrap_or(kept) {
                put(&mut bytes, name, value);
                count += 1;
            }
        }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.bytes == other.bytes
    }
}

impl Eq for Values {}

/// Total size and number of the values, updated edit by edit at the cost of the edit.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// The values that the edits build on.
    base: Values,
    len: usize,
    count: usize,
}

impl Tally {
    pub(crate) fn of(base: &Values, edits: &Edits) -> Self {
        let (len, count) = (base.encoded_len(), base.count());
        let mut tally = Self { base: base.clone(), len, count };
        for (name, edit) in edits {
            tally = tally.after(None, name, edit.as_deref());
        }
        tally
    }

    pub(crate) fn is_over(&self, base: &Values) -> bool {
        self.base.is_same(base)
    }

    /// Bytes and number of the values.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.len, self.count)
    }

    /// The totals after `edit` replaces an earlier edit of `name`, if any.
    pub(crate) fn after(
        &self,
        earlier: Option<Option<&[u8]>>,
        name: &str,
        edit: Option<&[u8]>,
    ) -> Self {
        let before = earlier.unwrap_or_else(|| self.base.find(name));
        let len = self.len - entry_len(name, before) + entry_len(name, edit);
        let count = self.count - usize::from(before.is_some()) + usize::from(edit.is_some());
        Self { base: self.base.clone(), len, count }
    }
}

fn entry_len(name: &str, value: Option<&[u8]>) -> usize {
    value.map_or(0, |value| ENTRY_HEAD + name.len() + value.len())
}

fn put(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    // Names and values are bounded on input; both casts are in range.
    bytes.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
    bytes.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(value);
}

fn entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let name_len = usize::from(rest.try_get_u16().ok()?);
    let value_len = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    let (name, after) = rest.split_at_checked(name_len)?;
    let (value, after) = after.split_at_checked(value_len)?;
    *rest = after;
    Some((name, value))
}

#[cfg(test)]
#[path = "values/tests.rs"]
mod tests;
