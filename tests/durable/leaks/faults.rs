//! What goes wrong with the stores, one thing after the other.

use super::setup::Setup;
use test_support::{DURABLE, PASSWORD, SESSIONS, records};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Corrupt,
    WrongType,
    Hung,
    Killed,
    WrongPassword,
    MayDoNothing,
    Full,
    DatabaseHung,
    DatabaseKilled,
    DatabaseBroken,
}

pub const EVERY_ONE: &[Fault] = &[
    Fault::Corrupt,
    Fault::WrongType,
    Fault::Hung,
    Fault::WrongPassword,
    Fault::MayDoNothing,
    Fault::Full,
    Fault::Killed,
    Fault::DatabaseHung,
    Fault::DatabaseKilled,
    Fault::DatabaseBroken,
];

impl Setup {
    pub async fn begin(&self, fault: Fault) {
        self.redis_begins(fault).await;
        let Some((server, database)) = &self.postgres else { return };
        match fault {
            Fault::DatabaseHung => server.hang(),
            Fault::DatabaseKilled => server.kill(),
            Fault::DatabaseBroken => {
                database.sql("ALTER TABLE trs_sessions RENAME TO trs_away").await;
            }
            Fault::Corrupt => {
                database.sql("UPDATE trs_sessions SET body = '\\x0102'").await;
            }
            _ => {}
        }
    }

    pub async fn end(&self, fault: Fault) {
        self.redis_ends(fault).await;
        let Some((server, database)) = &self.postgres else { return };
        match fault {
            Fault::DatabaseHung => server.resume(),
            Fault::DatabaseKilled => server.restart().await,
            Fault::DatabaseBroken => {
                database.sql("ALTER TABLE trs_away RENAME TO trs_sessions").await;
            }
            Fault::Corrupt => {
                database.sql("DELETE FROM trs_sessions WHERE length(body) = 2").await;
            }
            _ => {}
        }
    }

    async fn redis_begins(&self, fault: Fault) {
        let Some(redis) = &self.redis else { return };
        match fault {
            Fault::Corrupt | Fault::WrongType => {
                let mut connection = redis.connection().await;
                for (key, value) in records(redis).await {
                    let mut change = redis::pipe();
                    if fault == Fault::Corrupt {
                        let bytes = &value[..value.len() / 2];
                        change.cmd("SET").arg(&key).arg(bytes).arg("EX").arg(600);
                    } else {
                        change.cmd("DEL").arg(&key).cmd("RPUSH").arg(&key).arg(value);
                        change.cmd("EXPIRE").arg(&key).arg(600);
                    }
                    let () = change.query_async(&mut connection).await.unwrap();
                }
            }
            Fault::Hung => redis.hang(),
            Fault::Killed => redis.kill(),
            Fault::WrongPassword => {
                for user in [SESSIONS, DURABLE] {
                    redis.acl_set_user(user, &format!("<{PASSWORD} >another-password")).await;
                }
                // Whoever is in stays in, so everybody is sent out.
                let mut connection = redis.connection().await;
                let mut kill = redis::cmd("CLIENT");
                kill.arg("KILL").arg("USER").arg(SESSIONS);
                let _: i64 = kill.query_async(&mut connection).await.unwrap();
                let mut kill = redis::cmd("CLIENT");
                kill.arg("KILL").arg("USER").arg(DURABLE);
                let _: i64 = kill.query_async(&mut connection).await.unwrap();
            }
            Fault::MayDoNothing => {
                for user in [SESSIONS, DURABLE] {
                    redis.acl_set_user(user, "-get -evalsha -del").await;
                }
            }
            Fault::Full => redis.fill_up().await,
            _ => {}
        }
    }

    async fn redis_ends(&self, fault: Fault) {
        let Some(redis) = &self.redis else { return };
        match fault {
            Fault::Hung => redis.resume(),
            Fault::Killed => redis.restart().await,
            Fault::WrongPassword => {
                for user in [SESSIONS, DURABLE] {
                    redis.acl_set_user(user, &format!(">{PASSWORD}")).await;
                }
            }
            Fault::MayDoNothing => {
                for user in [SESSIONS, DURABLE] {
                    redis.acl_set_user(user, "+get +evalsha +del").await;
                }
            }
            Fault::Full => redis.make_room().await,
            _ => {}
        }
    }
}
