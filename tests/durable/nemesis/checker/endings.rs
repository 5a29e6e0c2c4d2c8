//! Who is signed in, and who no longer.

use super::super::history::{Kind, MILLI, Op};
use super::Violation;
use super::evidence::Evidence;

/// No request that starts after a session was known to be over is answered with it.
pub fn the_dead_stay_dead(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    // A sign-in is one whatever the session before it was.
    let is_alive = op.is_alive() && op.kind != Kind::Login;
    let token = op.token.as_deref().filter(|_| is_alive)?;
    let end = evidence.ends(token).find(|end| {
        let known = evidence.known_by(op.at, end.op.end, end.by);
        let excused = end.by != Some(op.at)
            && evidence.may_be_behind(op.at, end.op.end, op.start)
            && (end.by.is_none() || evidence.may_be_untold(end.op));
        // An old primary may be read from a little longer; what it told as the only one may be gone
        // with it, and what was acknowledged may not.
        let excused = excused
            || evidence.may_be_lost(op)
            || end.by.is_none() && evidence.may_be_lost(end.op)
            || evidence.may_be_unconfirmed(end.op);
        op.start > known && !excused
    })?;
    let late = (op.start - end.op.end) as f64 / MILLI as f64;
    let why = format!("alive {late} ms after the session's end was told");
    Some(Violation::new("the dead stay dead", op, why).against(end.op))
}

/// No session ends that nobody tried to end.
pub fn the_signed_in_stay_so(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let token = op.token.as_deref().filter(|_| op.is_over())?;
    let birth = evidence.birth(token)?;
    let may_be_over = evidence.may_end_at(token).is_some_and(|end| end < op.end)
        || evidence.may_have_been_second(birth);
    if !may_be_over
        && evidence.line(birth.new_token()?).iter().any(|token| {
            let born = evidence.birth(token).filter(|birth| evidence.may_be_lost(birth));
            born.inspect(|birth| evidence.lost.note(birth)).is_some()
        })
    {
        return None;
    }
    (!may_be_over)
        .then(|| Violation::new("the signed in stay so", op, "nobody signed out").against(birth))
}

/// The right user, a status that there may be, a cookie where one is due.
pub fn an_answer_makes_sense(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let fault = |why: &str| Some(Violation::new("an answer makes sense", op, why));
    match op.status() {
        None | Some(503) => return None,
        Some(200) => {}
        Some(401 | 409) if matches!(op.kind, Kind::Update | Kind::Renew) => return None,
        Some(401 | 409) if op.kind == Kind::Login && op.token.is_some() => return None,
        Some(_) => return fault("no such status"),
    }
    // A move that somebody's logout overtakes, or a failover, is dropped, and changes no cookie.
    let ending = op.token.as_deref().and_then(|token| evidence.may_end_at(token));
    let ended = ending.is_some_and(|end| end < op.end) || evidence.may_be_lost(op);
    let overtaken = op.token.is_some() && ended;
    let makes = op.kind == Kind::Visit || op.kind.makes() && op.is_alive();
    if makes && op.new_token().is_none() && !overtaken {
        return fault("no new cookie");
    }
    if op.kind == Kind::Login && op.user().is_none() && !overtaken {
        return fault("not signed in");
    }
    let birth = op.token.as_deref().and_then(|token| evidence.birth(token));
    let is_visitor = |birth: &Op| birth.kind == Kind::Visit && op.kind != Kind::Login;
    let owner = match birth {
        Some(birth) if is_visitor(birth) => None,
        Some(birth) => Some(birth.client.as_str()),
        None => Some(op.client.as_str()),
    };
    // A sign-in that was not acknowledged may be undone by what a visitor wrote after it.
    let is_certain = birth.is_some_and(|birth| birth.status() == Some(200));
    match op.user() {
        Some(user) if Some(user) != owner => fault("another user's session"),
        None if op.is_alive() && owner.is_some() && is_certain => fault("nobody's session"),
        _ => None,
    }
}
