//! The holes of the first design that one session shows: section 6. Each is run on the first
//! design, or on as much of it as shows the hole by itself.

use super::case::{Case, LOGOUT_A, LOGOUT_B, SAVE_A, Writer, case};
use crate::durable::{
    Change,
    Fault::{self, Crash, Cut, Eviction, Failover, LostReply, Refusal, Restore, Timeout},
    Protocol, PushGeneration, first_design,
    protocol::{leased, timely},
};

const ACKED: &[&str] = &["logout-acked-forever"];
const ABANDONED: &[&str] = &["logout-abandoned-forever"];
/// B saves what A saves elsewhere.
const SAVE_0_B: Writer = (Change::Save(0), 1);
const SAVE_1_A: Writer = (Change::Save(1), 0);

/// What is expected to break is the case's `stop`; `H4ok` alone breaks nothing of it.
pub fn holes() -> Vec<Case> {
    let mut all = late();
    all.extend(unpushed());
    all.extend(old_generation());
    all.extend(partition());
    all
}

/// H1 and H10: commands that are late.
fn late() -> Vec<Case> {
    let after = |p| Protocol { push_generation: PushGeneration::AfterCommit, ..p };
    vec![
        case("H1 late fill, tombstone expired", first_design(), &[LOGOUT_A], &[], ACKED),
        case(
            "H1s late fill of an old save after an eviction",
            timely(),
            &[SAVE_A],
            &[(Eviction, 1)],
            &["save-acked-forever"],
        ),
        case(
            "H1e late fill, tombstone evicted (deadline < tombstone ttl)",
            timely(),
            &[LOGOUT_A],
            &[(Eviction, 1)],
            ACKED,
        ),
        case(
            "H10 a retried write's first attempt lands late",
            after(first_design()),
            &[SAVE_A, LOGOUT_A],
            &[(Timeout, 1)],
            ACKED,
        ),
        case(
            "H10e the same with deadlines, tombstone evicted",
            after(timely()),
            &[SAVE_A, LOGOUT_A],
            &[(Timeout, 1), (Eviction, 1)],
            ACKED,
        ),
    ]
}

/// H2 and H3: the database commits, and nobody writes Redis.
fn unpushed() -> Vec<Case> {
    vec![
        case(
            "H2 app dies between commit and Redis (logout)",
            leased(),
            &[LOGOUT_A],
            &[(Crash, 1)],
            ABANDONED,
        ),
        case(
            "H2s app dies between commit and Redis (save)",
            leased(),
            &[SAVE_A],
            &[(Crash, 1)],
            &["save-abandoned-forever"],
        ),
        case("H3 commit Unknown", leased(), &[LOGOUT_A], &[(LostReply, 1)], ABANDONED),
        case(
            "H3r commit Unknown, then logged out again",
            leased(),
            &[LOGOUT_A, LOGOUT_B],
            &[(LostReply, 1)],
            ACKED,
        ),
        case(
            "H3c app dies after the commit, user logs out again elsewhere",
            leased(),
            &[LOGOUT_A, LOGOUT_B],
            &[(Crash, 1)],
            ACKED,
        ),
    ]
}

/// H4 and H5: what is written under a generation that counts no more.
fn old_generation() -> Vec<Case> {
    let refusal = &[(Refusal, 1)];
    let reading = |push_generation| Protocol { push_generation, ..leased() };
    let fill_at_send = Protocol {
        fill_generation_at_send: true,
        push_generation: PushGeneration::AfterCommit,
        leased_fill: false,
        push_creates: false,
        deadline: 3,
        tombstone: 2,
        ..first_design()
    };
    vec![
        case(
            "H4 a writer that knows an old generation (logout)",
            leased(),
            &[LOGOUT_A, SAVE_0_B],
            refusal,
            ACKED,
        ),
        case(
            "H4s a writer that knows an old generation (save)",
            leased(),
            &[SAVE_1_A, SAVE_0_B],
            refusal,
            &["save-acked-forever"],
        ),
        case(
            "H4b generation read in the transaction, before the commit",
            reading(PushGeneration::BeforeCommit),
            &[LOGOUT_A, SAVE_0_B],
            refusal,
            ACKED,
        ),
        case(
            "H4ok generation read after the commit",
            reading(PushGeneration::AfterCommit),
            &[LOGOUT_A, SAVE_0_B],
            refusal,
            ACKED,
        ),
        case(
            "H5 a fill goes to the generation known when it is sent",
            fill_at_send,
            &[LOGOUT_A],
            refusal,
            &["logout-own"],
        ),
    ]
}

/// H6 to H9: instances that see different stores, and a Redis of the past.
fn partition() -> Vec<Case> {
    let one = |name, faults: &[(Fault, u8)], stop| case(name, leased(), &[LOGOUT_A], faults, stop);
    vec![
        one("H6 write refused, then the bump impossible", &[(Refusal, 1), (Cut, 1)], ABANDONED),
        one("H7 B cut from the database, not from Redis", &[(Refusal, 1), (Cut, 1)], ACKED),
        one("H8 Redis restored while the apps restart", &[(Crash, 2), (Restore, 1)], ACKED),
        one("H9 failover, B still on the old primary", &[(Failover, 1)], ACKED),
    ]
}
