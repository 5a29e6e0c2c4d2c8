//! Commands on one copy, each atomic and harmless when late.
//!
//! Specified in `docs/protocol.md`, section 3.4.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::{
    clock::timestamp::Timestamp,
    error::ErrorKind,
    session::{
        record::{Record, Touch, format::ACTIVITY_OFFSET},
        token::SessionId,
        write_id::WriteId,
    },
    store::redis::{
        client::{
            failure::Failure,
            script::{Call, Script},
        },
        copies::{ABSENT, Fault, Found, KEY_TAIL, Lease, Link, Touched},
        value::{self, HEAD_LEN, head},
    },
};

/// Result of `copy_touch.lua` if the server rejects writes.
const NOT_TAKEN: i64 = 3;

impl Link {
    /// One round trip.
    pub(crate) async fn get(&mut self, generation: u64, id: &SessionId) -> Result<Found, Fault> {
        let get = self.get_command(generation, id);
        found(self.connection.send(&get).await)
    }

    /// Several copies, in the order of `ids`. By `GET` each, for servers on which nothing else is
    /// allowed.
    pub(crate) async fn get_many(
        &mut self,
        generation: u64,
        ids: &[SessionId],
    ) -> Result<Vec<Found>, Fault> {
        let gets: Vec<_> = ids.iter().map(|id| self.get_command(generation, id)).collect();
        self.connection.send_all(&gets).await?.into_iter().map(found).collect()
    }

    fn get_command(&self, generation: u64, id: &SessionId) -> Cmd {
        let mut get = Cmd::with_capacity(2, 3 + self.keys.prefix.len() + KEY_TAIL);
        let _ = get.arg("GET").arg(self.keys.key(generation, id));
        get
    }

    /// Acquires the lease, if the key does not exist.
    pub(crate) async fn lease(
        &mut self,
        generation: u64,
        id: &SessionId,
        random: WriteId,
        life: Duration,
    ) -> Result<Option<Lease>, Fault> {
        let mut lease = Lease([b'L'; 17]);
        for (place, byte) in lease.0.iter_mut().skip(1).zip(random) {
            *place = byte;
        }
        let mut set = redis::cmd("SET");
        let _ = set.arg(self.keys.key(generation, id)).arg(lease.0.as_slice());
        let _ = set.arg("NX").arg("PX").arg(crate::store::redis::millis(life));
        let taken = self.connection.send(&set).await?;
        Ok(matches!(taken, Value::Okay).then_some(lease))
    }

    /// Creates the copy, if the lease is still held. `behind`: the row may lack activity.
    pub(crate) async fn fill(
        &mut self,
        generation: u64,
        id: &SessionId,
        lease: Lease,
        (record, behind): (&Record, bool),
    ) -> Result<(), Fault> {
        let mut call = Script::Fill.call(&[&self.keys.key(generation, id)]);
        call.arg(lease.0.as_slice()).arg(value::encode_copy(record, behind));
        call.arg(self.keys.life(record.activity()));
        self.call(&call).await.map(|_| ())
    }

    /// Caches an absence, if the lease is still held; returns whether it was.
    pub(crate) async fn fill_absent(
        &mut self,
        generation: u64,
        id: &SessionId,
        lease: Lease,
        life: Duration,
    ) -> Result<bool, Fault> {
        let mut call = Script::Fill.call(&[&self.keys.key(generation, id)]);
        call.arg(lease.0.as_slice()).arg(ABSENT).arg(crate::store::redis::millis(life));
        Ok(matches!(self.call(&call).await?, Value::Int(1)))
    }

    /// Replaces an older copy; creates none.
    pub(crate) async fn put(
        &mut self,
        generation: u64,
        id: &SessionId,
        record: &Record,
    ) -> Result<(), Fault> {
        let mut call = Script::Put.call(&[&self.keys.key(generation, id)]);
        call.arg(head(record.version()).as_slice()).arg(value::encode_copy(record, false));
        call.arg(self.keys.life(record.activity()));
        self.call(&call).await.map(|_| ())
    }

    /// Deletes the copies, and with a lease the right to create one.
    pub(crate) async fn kill(&mut self, generation: u64, ids: &[SessionId]) -> Result<(), Fault> {
        let mut del = redis::cmd("DEL");
        for id in ids {
            let _ = del.arg(self.keys.key(generation, id));
        }
        Ok(self.connection.send(&del).await.map(|_| ())?)
    }

    /// Stores activity in the copy of that version; `None` if there is none. With `stored` records
    /// only that the database has it.
    pub(crate) async fn touch(
        &mut self,
        generation: u64,
        id: &SessionId,
        version: u64,
        (activity, stored): (Touch, bool),
    ) -> Result<Option<Touched>, Fault> {
        let mut call = Script::CopyTouch.call(&[&self.keys.key(generation, id)]);
        call.arg(head(version).as_slice()).arg(value::touch_fields(activity));
        call.arg(HEAD_LEN + ACTIVITY_OFFSET).arg(self.keys.life(activity));
        let has = activity.last_activity.as_millis().to_be_bytes();
        call.arg(if stored { has.as_slice() } else { &[] });
        let Value::Array(answer) = self.call(&call).await? else { return Ok(None) };
        let [Value::Int(done @ 1..=NOT_TAKEN), Value::BulkString(stored)] = answer.as_slice()
        else {
            return Ok(None);
        };
        let stored = <[u8; 8]>::try_from(stored.as_slice()).ok();
        let stored = stored.map(|millis| Timestamp::from_millis(u64::from_be_bytes(millis)));
        // Activity that a full server rejected has to go to the database.
        let stored = stored.filter(|_| *done != NOT_TAKEN);
        Ok(Some(Touched { changed: *done == 1, stored }))
    }

    async fn call(&mut self, call: &Call) -> Result<Value, Fault> {
        Ok(self.connection.call(call).await?)
    }
}

/// The value under the key of a copy.
fn found(answer: Result<Value, Failure>) -> Result<Found, Fault> {
    Ok(match answer {
        Err(failure) if failure.error.kind() == ErrorKind::Corrupt => Found::Unreadable,
        Err(failure) => return Err(failure.into()),
        Ok(Value::Nil) => Found::Nothing,
        Ok(Value::BulkString(bytes)) if bytes.first() == Some(&b'L') => Found::Nothing,
        Ok(Value::BulkString(bytes)) if bytes == ABSENT => Found::Absent,
        Ok(Value::BulkString(bytes)) => match value::decode_copy(bytes.into()) {
            Ok(Some((record, behind))) => Found::Copy { record, behind },
            Ok(None) | Err(_) => Found::Unreadable,
        },
        Ok(_) => Found::Unreadable,
    })
}
