//! Failed attempts in Redis: a bucket of rows is a hash, and a write is one script.

use std::time::Duration;

use redis::{FromRedisValue as _, Value};

use crate::{
    error::Error,
    store::{
        AttemptOutcome, AttemptStore, AttemptWrite, StoreFuture,
        attempts::{Action, Counter, Verdict},
        redis::{
            RedisStore,
            client::{
                cluster::decision::Follow,
                connection::Connection,
                script::{Call, Script},
            },
            millis, value,
        },
    },
};

impl RedisStore {
    fn attempt(&self, write: &AttemptWrite) -> Call {
        let keys: Vec<_> =
            write.keys().map(|key| format!("{}{}", self.attempts_prefix, key.bucket)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut call = Script::Attempt.call(&keys);
        call.arg(match write.action {
            Action::Begin => "begin",
            Action::Succeed => "succeed",
            Action::Forgive => "forgive",
        });
        call.arg(write.ways).arg(write.counters.len()).arg(millis(write.known_for));
        for Counter { key, rule } in &write.counters {
            call.arg(key.tag.as_slice()).arg(rule.free).arg(rule.max).arg(rule.max_known);
            call.arg(rule.first_wait).arg(rule.longest_wait).arg(rule.recovery);
        }
        call.arg(write.known.as_ref().map_or(&[][..], |known| known.tag.as_slice()));
        call
    }
}

impl AttemptStore for RedisStore {
    fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome> {
        Box::pin(async move {
            // Never sent twice where it may have run: an attempt would count twice.
            let build = |_: &Connection| Ok(self.attempt(write));
            outcome(self.servers.call(&self.attempts_prefix, Follow::Many, build).await??)
        })
    }
}

fn outcome(reply: Value) -> Result<AttemptOutcome, Error> {
    let numbers = Vec::<u64>::from_redis_value(reply).map_err(|_| value::corrupt())?;
    match numbers.as_slice() {
        [0] => Ok(AttemptOutcome::DONE),
        [place, wait] => {
            let place = usize::try_from(*place).unwrap_or_default().saturating_sub(1);
            let wait = Duration::from_millis(*wait);
            Ok(AttemptOutcome(Verdict::Throttled { place, wait }))
        }
        _ => Err(value::corrupt()),
    }
}
