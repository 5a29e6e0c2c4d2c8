//! A sign-in on a cluster, as it should be and without each of its parts.

use super::report::print_all;
use crate::sign_in::SignIn;

pub fn print() {
    let base = SignIn {
        timeouts: 1,
        crashes: 1,
        save: true,
        logout: true,
        revoke: true,
        mark: true,
        fenced: true,
        kill_first: false,
        heir: true,
        epoch: true,
        tell: true,
        expire: false,
    };
    let alone = SignIn { logout: false, revoke: false, crashes: 0, ..base };
    for (name, model) in [
        ("recommended", base),
        ("no logout, no revoke", alone),
        ("no logout, no revoke, tombstones expire", SignIn { expire: true, ..alone }),
        ("without: the mark in the new id", SignIn { mark: false, ..alone }),
        ("without: the fence on the kill", SignIn { fenced: false, ..alone }),
        (
            "without: new before old (the old one is killed first)",
            SignIn { kill_first: true, ..alone },
        ),
        ("without: the heir in the tombstone", SignIn { heir: false, ..alone }),
        ("without: the epoch", SignIn { epoch: false, ..base }),
        ("without: the new cookie with the 503", SignIn { tell: false, ..alone }),
    ] {
        print_all(&format!("sign-in, {name}"), &model);
    }
}
