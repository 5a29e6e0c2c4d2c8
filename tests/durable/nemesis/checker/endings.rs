//! Who is signed in, and who no longer.

use super::super::history::{Kind, MILLI, Op};
use super::Violation;
use super::evidence::Evidence;

/// No request that starts after a session was known to be over is answered as signed in.
pub fn the_dead_stay_dead(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let token = op.token.as_deref().filter(|_| op.is_signed_in())?;
    let end = evidence.ends(token).find(|end| {
        let known = evidence.known_by(op.at, end.op.end, end.by);
        let excused = end.by != Some(op.at)
            && evidence.may_be_behind(op.at, end.op.end, op.start)
            && (end.by.is_none() || evidence.may_be_untold(end.op));
        op.start > known && !excused
    })?;
    let late = (op.start - end.op.end) as f64 / MILLI as f64;
    let why = format!("signed in {late} ms after the session's end was told");
    Some(Violation::new("the dead stay dead", op, why).against(end.op))
}

/// No session ends that nobody tried to end.
pub fn the_signed_in_stay_so(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let token = op.token.as_deref().filter(|_| op.is_anonymous())?;
    let birth = evidence.birth(token)?;
    let may_be_over = evidence.may_end_at(token).is_some_and(|end| end < op.end);
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
        Some(_) => return fault("no such status"),
    }
    let moves = matches!(op.kind, Kind::Login | Kind::Renew);
    // A renewal that somebody's logout overtakes is dropped, and changes no cookie.
    let ending = op.token.as_deref().and_then(|token| evidence.may_end_at(token));
    let overtaken = op.kind == Kind::Renew && ending.is_some_and(|end| end < op.end);
    if moves && op.is_signed_in() && op.new_token().is_none() && !overtaken {
        return fault("no new cookie");
    }
    if op.kind == Kind::Login && !op.is_signed_in() {
        return fault("not signed in");
    }
    let owner = op.token.as_deref().and_then(|token| evidence.birth(token));
    let owner = owner.map_or(op.client.as_str(), |birth| &birth.client);
    match op.user() {
        Some(user) if user != owner => fault("another user's session"),
        _ => None,
    }
}
