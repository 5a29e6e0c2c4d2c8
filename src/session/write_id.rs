//! Random ids of writes, without a system call for each.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crate::error::Error;

/// Mark of a record's last write: 16 random bytes, new for every write, so that a writer whose
/// reply was lost can determine whether its write happened.
pub(crate) type WriteId = [u8; 16];

/// Generates a unique id for every write of a layer: eight random bytes, drawn once, and a counter.
#[derive(Debug, Default)]
pub(crate) struct WriteIds {
    drawn: OnceLock<[u8; 8]>,
    next: AtomicU64,
}

impl WriteIds {
    pub(crate) fn draw(&self) -> Result<WriteId, Error> {
        let random = match self.drawn.get() {
            Some(random) => random,
            None => {
                let mut random = [0; 8];
                getrandom::fill(&mut random).map_err(Error::random_source)?;
                self.drawn.get_or_init(|| random)
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut id = WriteId::default();
        for (place, byte) in id.iter_mut().zip(random.iter().chain(&number)) {
            *place = *byte;
        }
        Ok(id)
    }
}

/// A fresh random number.
#[cfg(feature = "_database")]
pub(crate) fn random() -> Result<u64, Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(Error::random_source)?;
    Ok(u64::from_be_bytes(random))
}

#[cfg(test)]
mod tests {
    use crate::session::write_id::*;

    #[test]
    fn no_two_marks_are_alike() {
        let (one, other) = (WriteIds::default(), WriteIds::default());
        let drawn = [one.draw(), one.draw(), other.draw(), other.draw()].map(Result::unwrap);
        for (index, id) in drawn.iter().enumerate() {
            assert!(!drawn[..index].contains(id));
        }
        assert_eq!(drawn[0][..8], drawn[1][..8]);
    }
}
