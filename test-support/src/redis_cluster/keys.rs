//! Where keys are.

use futures_util::future::join_all;
use redis::RedisResult;

use super::RedisCluster;

pub(super) const SLOTS: usize = 16_384;

/// The slot of a key, by the specification, bit by bit.
pub fn slot_of(key: impl AsRef<[u8]>) -> u16 {
    let key = key.as_ref();
    let position = |from: usize, byte| key[from..].iter().position(|other| *other == byte);
    let tag = position(0, b'{').and_then(|open| {
        let length = position(open + 1, b'}').filter(|length| *length > 0)?;
        Some(&key[open + 1..][..length])
    });
    let crc = tag.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    });
    crc % SLOTS as u16
}

impl RedisCluster {
    /// Every key of the primaries that answer, with its node and its remaining milliseconds, -1
    /// for a key without an end. What a node holds of a slot that is not its own is left out:
    /// nobody can see it.
    pub async fn keys(&self) -> Vec<(usize, String, i64)> {
        let mut all = Vec::new();
        for node in self.primaries().await {
            let mut connection = self.connection(node).await;
            let names: Vec<Vec<u8>> =
                redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
            let ends = join_all(names.iter().map(|name| {
                let mut connection = connection.clone();
                async move { redis::cmd("PTTL").arg(name).query_async(&mut connection).await }
            }));
            for (name, ttl) in names.iter().zip(ends.await) {
                // Gone between the two commands.
                if let Some(ttl) = ttl.ok().filter(|ttl| *ttl != -2) {
                    all.push((node, String::from_utf8_lossy(name).into_owned(), ttl));
                }
            }
        }
        all.sort();
        all
    }

    /// Every key of the primaries that answer, with its node and its value as `DUMP` writes it;
    /// also of a slot that is on its way there.
    pub async fn contents(&self) -> Vec<(usize, String, Vec<u8>)> {
        let mut all = Vec::new();
        for node in self.primaries().await {
            let mut connection = self.connection(node).await;
            let names: Vec<Vec<u8>> =
                redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
            for name in names {
                let mut pair = redis::pipe();
                pair.cmd("ASKING").ignore().cmd("DUMP").arg(&name);
                let dumped: RedisResult<(Option<Vec<u8>>,)> =
                    pair.query_async(&mut connection).await;
                if let Ok((Some(value),)) = dumped {
                    all.push((node, String::from_utf8_lossy(&name).into_owned(), value));
                }
            }
        }
        all.sort();
        all
    }

    #[track_caller]
    pub fn assert_every_key_has_a_ttl(&self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let eternal: Vec<_> =
                self.keys().await.into_iter().filter(|(_, _, ttl)| *ttl < 0).collect();
            assert!(eternal.is_empty(), "keys without a TTL ({place}): {eternal:?}");
        }
    }
}
