//! What is told and asked of one copy, each command atomic and harmless late.
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
        client::script::{Call, Script},
        copies::{ABSENT, Fault, Found, KEY_TAIL, Lease, Link, Touched},
        value::{self, HEAD_LEN, head},
    },
};

/// What `copy_touch.lua` answers if the server takes no change.
const NOT_TAKEN: i64 = 3;

impl Link {
    /// One round trip.
    pub(crate) async fn get(&mut self, generation: u64, id: &SessionId) -> Result<Found, Fault> {
        let mut get = Cmd::with_capacity(2, 3 + self.keys.prefix.len() + KEY_TAIL);
        let _ = get.arg("GET").arg(self.keys.key(generation, id));
        let answer = match self.connection.send(&get).await {
            Err(failure) if failure.error.kind() == ErrorKind::Corrupt => {
                return Ok(Found::Unreadable);
            }
            answer => answer?,
        };
        Ok(match answer {
            Value::Nil => Found::Nothing,
            Value::BulkString(bytes) if bytes.first() == Some(&b'L') => Found::Nothing,
            Value::BulkString(bytes) if bytes == ABSENT => Found::Absent,
            Value::BulkString(bytes) => match value::decode_copy(bytes.into()) {
                Ok(Some((record, behind))) => Found::Copy { record, behind },
                Ok(None) | Err(_) => Found::Unreadable,
            },
            _ => Found::Unreadable,
        })
    }

    /// Takes the lease, if nothing stands under the key.
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

    /// Creates the copy, if the lease still stands. `behind`: the row may lack activity.
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

    /// Writes down that there is nothing to copy, if the lease still stands; answers whether it
    /// did.
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

    /// Removes the copies, and with a lease the right to create one.
    pub(crate) async fn kill(&mut self, generation: u64, ids: &[SessionId]) -> Result<(), Fault> {
        let mut del = redis::cmd("DEL");
        for id in ids {
            let _ = del.arg(self.keys.key(generation, id));
        }
        Ok(self.connection.send(&del).await.map(|_| ())?)
    }

    /// Writes activity down in the copy of that version; `None` if there is none. With `stored`
    /// only that this is what the database has now.
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
        // What a full server did not take, the database has to.
        let stored = stored.filter(|_| *done != NOT_TAKEN);
        Ok(Some(Touched { changed: *done == 1, stored }))
    }

    async fn call(&mut self, call: &Call) -> Result<Value, Fault> {
        Ok(self.connection.call(call).await?)
    }
}
