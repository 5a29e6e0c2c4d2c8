//! The slot map: which primary serves which slot, by the reply to `CLUSTER SLOTS`. Pure.

use std::{collections::HashMap, fmt};

use redis::Value;

use crate::store::redis::client::cluster::{
    address::Announced,
    slot::{SLOTS, Slot},
};

/// Maximum number of primaries. The specification recommends at most 1,000 nodes.
pub(in crate::store::redis) const PRIMARIES_MAX: usize = 1024;
/// The owner of a slot that no node serves.
const NOBODY: u16 = u16::MAX;

/// The primaries, and the number of each slot's one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::redis) struct Map {
    owners: Box<[u16]>,
    primaries: Vec<Primary>,
}

/// A node that serves slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::redis) struct Primary {
    pub(in crate::store::redis) address: Announced,
    /// Number of its slots.
    pub(in crate::store::redis) slots: u16,
    /// Number of its replicas.
    pub(in crate::store::redis) replicas: usize,
}

/// Why a reply is no slot map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Fault {
    /// It is not a list of ranges, each with its nodes.
    Form,
    /// A range is empty, or beyond the last slot.
    Range,
    /// Two ranges have a slot in common.
    Overlap,
    /// The host of a node is no host name and no address.
    Host,
    /// More than 16,384 ranges or 1,024 primaries.
    Size,
    /// No slot is served: the node knows no cluster.
    Empty,
}

impl Map {
    /// Parses the reply to `CLUSTER SLOTS`: a list of the first and the last slot of a range, its
    /// primary, and its replicas. A range whose primary has no usable port is not served.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub(in crate::store::redis) fn parse(reply: &Value) -> Result<Self, Fault> {
        let Value::Array(ranges) = reply else { return Err(Fault::Form) };
        if ranges.len() > usize::from(SLOTS) {
            return Err(Fault::Size);
        }
        let mut map = Self { owners: nobody(), primaries: Vec::new() };
        let mut numbers = HashMap::new();
        for range in ranges {
            let Value::Array(parts) = range else { return Err(Fault::Form) };
            let [first, last, primary, replicas @ ..] = parts.as_slice() else {
                return Err(Fault::Form);
            };
            let (first, last) = (slot(first)?, slot(last)?);
            if first > last {
                return Err(Fault::Range);
            }
            if let Some(address) = node(primary)? {
                let number = map.number(&mut numbers, address, replicas.len())?;
                map.assign(first, last, number)?;
            }
        }
        if map.primaries.is_empty() { Err(Fault::Empty) } else { Ok(map) }
    }

    pub(in crate::store::redis) fn primaries(&self) -> &[Primary] {
        &self.primaries
    }

    /// The number of the slot's primary in [`primaries`](Self::primaries).
    pub(in crate::store::redis) fn owner(&self, slot: Slot) -> Option<usize> {
        let owner = self.owners.get(usize::from(slot.number())).copied()?;
        (owner != NOBODY).then_some(usize::from(owner))
    }

    /// Number of slots that no node serves.
    pub(in crate::store::redis) fn uncovered(&self) -> u16 {
        self.primaries.iter().fold(SLOTS, |left, primary| left.saturating_sub(primary.slots))
    }

    fn number(
        &mut self,
        numbers: &mut HashMap<Announced, u16>,
        address: Announced,
        replicas: usize,
    ) -> Result<u16, Fault> {
        if let Some(number) = numbers.get(&address) {
            return Ok(*number);
        }
        let number = self.primaries.len();
        if number == PRIMARIES_MAX {
            return Err(Fault::Size);
        }
        let number = u16::try_from(number).map_err(|_| Fault::Size)?;
        let _ = numbers.insert(address.clone(), number);
        self.primaries.push(Primary { address, slots: 0, replicas });
        Ok(number)
    }

    fn assign(&mut self, first: Slot, last: Slot, number: u16) -> Result<(), Fault> {
        let range = usize::from(first.number())..=usize::from(last.number());
        let owners = self.owners.get_mut(range).ok_or(Fault::Range)?;
        if owners.iter().any(|owner| *owner != NOBODY) {
            return Err(Fault::Overlap);
        }
        owners.fill(number);
        if let Some(primary) = self.primaries.get_mut(usize::from(number)) {
            primary.slots += last.number() - first.number() + 1;
        }
        Ok(())
    }
}

fn nobody() -> Box<[u16]> {
    vec![NOBODY; usize::from(SLOTS)].into_boxed_slice()
}

fn slot(value: &Value) -> Result<Slot, Fault> {
    let Value::Int(number) = value else { return Err(Fault::Form) };
    u16::try_from(*number).ok().and_then(Slot::new).ok_or(Fault::Range)
}

/// The address of a node; `None` if it has no port for connections of our kind.
fn node(value: &Value) -> Result<Option<Announced>, Fault> {
    let Value::Array(parts) = value else { return Err(Fault::Form) };
    let [host, Value::Int(port), ..] = parts.as_slice() else { return Err(Fault::Form) };
    let host = match host {
        Value::Nil => "",
        Value::BulkString(host) => std::str::from_utf8(host).map_err(|_| Fault::Host)?,
        Value::SimpleString(host) => host,
        _ => return Err(Fault::Form),
    };
    match u16::try_from(*port) {
        Ok(0) => Ok(None),
        Ok(port) => Announced::new(host, port).map(Some).ok_or(Fault::Host),
        Err(_) => Err(Fault::Form),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "is not a list of ranges with their nodes",
            Self::Range => "has a range that is not one of slots",
            Self::Overlap => "has a slot twice",
            Self::Host => "has a host that is no name and no address",
            Self::Size => "has more than 16,384 ranges or 1,024 primaries",
            Self::Empty => "has no slot that a node serves",
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::cluster::map::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn node(host: Value, port: i64) -> Value {
        // With the parts that a newer server adds.
        Value::Array(vec![host, Value::Int(port), text("an id"), Value::Array(vec![])])
    }

    fn range(first: i64, last: i64, nodes: &[Value]) -> Value {
        let slots = [Value::Int(first), Value::Int(last)];
        Value::Array([slots.as_slice(), nodes].concat())
    }

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn every_slot_has_the_primary_of_its_range() {
        let (a, b) = (node(text("10.0.0.1"), 6379), node(text("2001:db8::1"), 6380));
        let map = Map::parse(&Value::Array(vec![
            range(0, 99, &[a.clone(), b.clone(), b.clone()]),
            range(200, 16_383, std::slice::from_ref(&b)),
            range(100, 100, &[a]),
            range(150, 151, &[node(Value::Nil, 6381)]),
            range(160, 160, &[node(text("?"), 6381)]),
            range(170, 179, &[node(text("only-tls"), 0)]),
        ]))
        .unwrap();
        let host = |number| {
            let primary = map.primaries().get(map.owner(slot(number))?)?;
            Some((primary.address.host.as_deref(), primary.address.port))
        };
        let (a, b) = (Some((Some("10.0.0.1"), 6379)), Some((Some("2001:db8::1"), 6380)));
        for (number, expected) in [
            (0, a),
            (99, a),
            (100, a),
            (101, None),
            (150, Some((None, 6381))),
            (160, Some((None, 6381))),
            (170, None),
            (200, b),
            (16_383, b),
        ] {
            assert_eq!(host(number), expected, "{number}");
        }
        let counted: Vec<_> =
            map.primaries().iter().map(|primary| (primary.slots, primary.replicas)).collect();
        assert_eq!(counted, [(101, 2), (16_184, 0), (3, 0)]);
        assert_eq!(map.uncovered(), 16_384 - 101 - 16_184 - 3);
    }

    #[test]
    fn a_reply_of_another_form_is_rejected_with_its_fault() {
        let a = || node(text("a"), 1);
        let ranges = |ranges: Vec<Value>| Value::Array(ranges);
        for (name, reply, fault) in [
            ("no list", Value::Okay, Fault::Form),
            ("no ranges", ranges(vec![]), Fault::Empty),
            ("a range of text", ranges(vec![text("0")]), Fault::Form),
            ("no node", ranges(vec![range(0, 1, &[])]), Fault::Form),
            ("a node of text", ranges(vec![range(0, 1, &[text("a:1")])]), Fault::Form),
            ("upside down", ranges(vec![range(2, 1, &[a()])]), Fault::Range),
            ("beyond the last", ranges(vec![range(0, 16_384, &[a()])]), Fault::Range),
            ("negative", ranges(vec![range(-1, 1, &[a()])]), Fault::Range),
            ("twice", ranges(vec![range(0, 5, &[a()]), range(5, 9, &[a()])]), Fault::Overlap),
            ("a host of words", ranges(vec![range(0, 1, &[node(text("a b"), 1)])]), Fault::Host),
            (
                "a host of bytes",
                ranges(vec![range(0, 1, &[node(Value::BulkString(vec![255]), 1)])]),
                Fault::Host,
            ),
            (
                "a port of no port",
                ranges(vec![range(0, 1, &[node(text("a"), 65_536)])]),
                Fault::Form,
            ),
            ("no port at all", ranges(vec![range(0, 1, &[node(text("a"), 0)])]), Fault::Empty),
            ("many ranges", ranges(vec![Value::Nil; 16_385]), Fault::Size),
            (
                "many primaries",
                ranges((0..1025).map(|at| range(at, at, &[node(text("a"), at + 1)])).collect()),
                Fault::Size,
            ),
        ] {
            assert_eq!(Map::parse(&reply), Err(fault), "{name}");
        }
    }
}
