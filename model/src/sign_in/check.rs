//! The invariants of a sign-in.

use super::state::{Login, New, NewId, Old, Request, State};

pub(super) fn violations(s: &State, out: &mut Vec<&'static str>) {
    let old = matches!(s.old, Old::Alive { .. });
    // What a request sees under the new id: nothing before what it replaces has ended.
    let usable = |session: &New| session.alive && session.replaces.is_none();
    if s.acked && old {
        out.push("old id alive after the sign-in was acknowledged");
    }
    for session in s.new.iter().filter(|session| usable(session)) {
        if old {
            out.push("both ids in use");
        }
        if session.user && s.revoked && s.stale {
            out.push("survives revoke-all");
        }
        // The client holds it, and a write that was acknowledged is not in it.
        if s.acked && s.saved && session.content & 1 == 0 {
            out.push("acknowledged write lost");
        }
    }
    if s.logged_out && old {
        out.push("logout undone");
    }
    // At rest: some cookie that the client holds works, or can be made to work.
    let rest = s.wire.is_empty() && s.login == Login::Over && s.new_id == NewId::Idle;
    let ended = s.logged_out || s.revoked;
    let decided = s.logout == Request::Over && s.revoke == Request::Over;
    if rest && !ended && decided {
        let new = s.cookie_new > 0 && s.new[s.cookie_new as usize - 1].alive;
        let works = new || s.cookie_old && old;
        if !works {
            out.push("signed out");
        }
    }
}
