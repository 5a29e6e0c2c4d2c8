//! Hash slots of keys. Pure.
//!
//! The Redis Cluster specification, "Key distribution model" and "Hash tags".

/// Number of slots of a cluster.
pub(in crate::store::redis) const SLOTS: u16 = 16_384;

/// A hash slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::redis) struct Slot(u16);

impl Slot {
    /// The slot of a key: of its hash tag if it has one, else of the whole key.
    pub(in crate::store::redis) fn of_key(key: &[u8]) -> Self {
        Self::of_all(hash_tag(key).unwrap_or(key))
    }

    /// The slot of all keys with this hash tag, of 3 bytes without braces.
    pub(in crate::store::redis) fn of_tag(tag: [u8; 3]) -> Self {
        Self::of_all(&tag)
    }

    /// The slot with that number, if there is one.
    pub(in crate::store::redis) fn new(number: u16) -> Option<Self> {
        (number < SLOTS).then_some(Self(number))
    }

    pub(in crate::store::redis) fn number(self) -> u16 {
        self.0
    }

    /// A hash tag of this slot, for keys that belong to no user.
    pub(in crate::store::redis) fn tag(self) -> String {
        let mut tags = (0_u32..).map(|number| number.to_string());
        tags.find(|tag| Self::of_all(tag.as_bytes()) == self).unwrap_or_default()
    }

    fn of_all(bytes: &[u8]) -> Self {
        Self(crc16(bytes) % SLOTS)
    }
}

/// What is between the first `{` and the next `}`, unless it is empty.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let rest = key.get(open + 1..)?;
    let close = rest.iter().position(|byte| *byte == b'}')?;
    rest.get(..close).filter(|tag| !tag.is_empty())
}

/// CRC-16/XMODEM, a byte at a time: polynomial 0x1021, initial value 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let first = (crc >> 8) ^ u16::from(*byte);
        let mixed = first ^ (first >> 4);
        (crc << 8) ^ (mixed << 12) ^ (mixed << 5) ^ mixed
    })
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::cluster::slot::*;

    #[test]
    fn the_check_value_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn the_first_tag_that_is_not_empty_decides() {
        for (name, key, same_as) in [
            ("a tag", "{user1000}.following", "user1000"),
            ("an empty one", "foo{}{bar}", "foo{}{bar}"),
            ("up to the first }", "foo{{bar}}zap", "{bar"),
            ("the first of two", "foo{bar}{zap}", "bar"),
            ("no end", "foo{bar", "foo{bar"),
            ("no start", "foo}bar", "foo}bar"),
            ("a record", "session:0:s:AAAA{b3c}", "b3c"),
            ("an index of a user with braces", "session:u:{b3c}{x}", "b3c"),
        ] {
            let same_as = Slot(crc16(same_as.as_bytes()) % SLOTS);
            assert_eq!(Slot::of_key(key.as_bytes()), same_as, "{name}");
        }
        assert_eq!(Slot::of_key(b"foo").number(), 12_182);
        assert_eq!(Slot::of_key(b"bar").number(), 5_061);
        assert_eq!(Slot::of_tag(*b"bar"), Slot::of_key(b"a{bar}"));
    }

    /// Of 10 sessions each; more users by `SPREAD_USERS`. To see it fail: return less than 16 bits
    /// of the hash as the tag.
    #[test]
    fn sessions_of_users_are_spread_over_all_primaries() {
        use crate::session::placement::{Placement, tag_text};

        const EACH: usize = 10;
        let users = std::env::var("SPREAD_USERS").map_or(20_000, |users| users.parse().unwrap());
        let placement = Placement::new("session:");
        let mut slots = vec![0; usize::from(SLOTS)];
        for user in 0..users {
            let tag = tag_text(placement.tag(&user.to_string()));
            slots[usize::from(Slot::of_tag(tag).number())] += EACH;
        }
        let fullest = slots.iter().max().unwrap();
        println!("{} sessions, {fullest} in the fullest slot", users * EACH);
        assert!(*fullest < EACH * (users / usize::from(SLOTS) + 20));
        for (primaries, most) in [(3, 1.03), (6, 1.06), (12, 1.1), (100, 1.3)] {
            let first = |primary| primary * slots.len() / primaries;
            let share = |primary| slots[first(primary)..first(primary + 1)].iter().sum::<usize>();
            let fullest = (0..primaries).map(share).max().unwrap() * primaries;
            let ratio = fullest as f64 / (users * EACH) as f64;
            println!("{primaries} primaries: {ratio:.3} times the mean");
            assert!(ratio < most, "{primaries} primaries: {ratio}");
        }
    }

    #[test]
    fn every_slot_has_a_tag() {
        // Not all of them: it is a search.
        for number in (0..SLOTS).step_by(257) {
            let slot = Slot::new(number).unwrap();
            assert_eq!(Slot::of_key(format!("a{{{}}}b", slot.tag()).as_bytes()), slot);
        }
        assert_eq!(Slot::new(SLOTS), None);
    }
}
