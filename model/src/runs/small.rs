//! The small models: `update`, the sessions of one user, renewals, activity.

use super::report::print_all;
use crate::{
    counter::{Counter, Retry},
    renewal::Renewal,
    touch::{DATABASE, touches},
    users::Users,
};

/// As the protocol is, with all that may go wrong.
pub fn counter() -> Counter {
    Counter {
        retry: Retry::WriteId,
        compare_and_set: true,
        tombstone: true,
        delete: true,
        timeouts: 2,
        restore: false,
        adopt: false,
    }
}

/// Redis alone, as the protocol is.
pub fn users() -> Users {
    Users {
        sql: false,
        index_first: true,
        tombstone_on_missing: true,
        create_deadline: true,
        index_last: true,
        recount: true,
        user_lock: true,
        epoch: true,
        max: 2,
        revoke: true,
        crash: true,
    }
}

/// SQL, as the protocol is.
pub fn sql_users() -> Users {
    Users { sql: true, ..users() }
}

pub fn renewal() -> Renewal {
    Renewal { two_steps: true, tell: true, losses: 1 }
}

pub fn print() {
    for grace in [0, DATABASE - 1, DATABASE] {
        let touches = touches(grace);
        println!(
            "touch, grace {grace} of {DATABASE}: {} paths, signed out wrongly: {}, lives past \
             idle by at most {}",
            touches.patterns, touches.signed_out, touches.late
        );
    }
    print_counters();
    print_users();
    let r = renewal();
    print_all("renew, two steps, the 503 carries the cookie", &r);
    print_all("renew, in one transaction", &Renewal { two_steps: false, ..r });
    print_all("renew, two steps, a 503 without the cookie", &Renewal { tell: false, ..r });
}

fn print_counters() {
    let c = counter();
    let calm = Counter { timeouts: 0, ..c };
    let untombed = Counter { tombstone: false, ..c };
    for (name, counter) in [
        ("update, mark of the writer", c),
        ("update, told Unknown", Counter { retry: Retry::Tell, ..c }),
        (
            "update, repeated blindly after a time-out",
            Counter { retry: Retry::Blind, delete: false, ..c },
        ),
        (
            "update without compare-and-set",
            Counter { compare_and_set: false, delete: false, ..calm },
        ),
        ("update, no tombstone", untombed),
        ("update, no tombstone, absent records adopted", Counter { adopt: true, ..untombed }),
        ("update, absent records adopted, tombstone that expires", Counter { adopt: true, ..c }),
        ("Redis only, restored from a snapshot", Counter { restore: true, ..calm }),
    ] {
        print_all(name, &counter);
    }
}

fn print_users() {
    let (u, q) = (users(), sql_users());
    let unlocked = Users { user_lock: false, ..q };
    for (name, users) in [
        ("users, Redis only", u),
        ("users, Redis only, record before index", Users { index_first: false, ..u }),
        (
            "users, Redis only, kill leaves no tombstone where nothing is",
            Users { tombstone_on_missing: false, ..u },
        ),
        ("users, Redis only, slow login not refused", Users { create_deadline: false, ..u }),
        (
            "users, Redis only, index entry removed before the kill",
            Users { index_last: false, ..u },
        ),
        (
            "users, Redis only, no epoch (the login begins with its index entry)",
            Users { epoch: false, ..u },
        ),
        ("users, Redis only, no recount", Users { recount: false, ..u }),
        ("users, Redis only, no revoke", Users { revoke: false, ..u }),
        ("users, SQL, user row locked, epoch", q),
        ("users, SQL, no user lock", unlocked),
        (
            "users, SQL, no user lock, no crash, no revoke",
            Users { revoke: false, crash: false, ..unlocked },
        ),
        ("users, SQL, user row locked, no epoch", Users { epoch: false, ..q }),
    ] {
        print_all(name, &users);
    }
}
