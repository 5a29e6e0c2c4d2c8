//! The values of a session: names and JSON texts, kept as the bytes they are stored as and
//! decoded only when one is read.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};

/// Longest name, in bytes: what the length field holds.
pub(crate) const NAME_MAX: usize = u16::MAX as usize;
/// Length fields in front of a name and its value.
const ENTRY_HEAD: usize = 6;

/// Entries in ascending order of their names: `u16` length of the name, `u32` length of the JSON,
/// then both texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(Bytes);

/// New JSON for a name, or `None` to remove it.
pub(crate) type Edits = BTreeMap<Box<str>, Option<Bytes>>;

impl Values {
    /// Takes all of `bytes`, if every length fits, names are UTF-8 and strictly ascending.
    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let mut rest: &[u8] = &bytes;
        let mut previous: Option<&str> = None;
        while !rest.is_empty() {
            let (name, _) = entry(&mut rest)?;
            let name = std::str::from_utf8(name).ok()?;
            if previous.is_some_and(|previous| previous >= name) {
                return None;
            }
            previous = Some(name);
        }
        Some(Self(bytes))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The JSON under `name`; shares the record's bytes.
    pub(crate) fn get(&self, name: &str) -> Option<Bytes> {
        let (_, value) = self.iter().find(|(found, _)| *found == name)?;
        Some(self.0.slice_ref(value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (name, value) = entry(&mut rest)?;
            Some((std::str::from_utf8(name).ok()?, value))
        })
    }

    /// These values with `edits` applied, name by name.
    pub(crate) fn edited(&self, edits: &Edits) -> Self {
        if edits.iter().all(|(name, edit)| self.get(name) == *edit) {
            return self.clone();
        }
        let mut all: BTreeMap<&str, &[u8]> = self.iter().collect();
        for (name, edit) in edits {
            match edit {
                Some(value) => all.insert(name, value),
                None => all.remove(name.as_ref()),
            };
        }
        let len = all.iter().map(|(name, value)| ENTRY_HEAD + name.len() + value.len()).sum();
        let mut bytes = Vec::with_capacity(len);
        for (name, value) in all {
            // Names and values are bounded where they come in; both casts are in range.
            bytes.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
            bytes.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
        }
        Self(bytes.into())
    }
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
