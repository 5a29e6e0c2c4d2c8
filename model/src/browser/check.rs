//! The invariants.

use super::{
    Browser, Kind, Start,
    load::{AFTER_END, AFTER_GRACE, BEGUN, HEIR, NOTHING},
    state::{BASKET, EARLIER, Found, Life, NONE, Row, Stage, State},
};

/// What no order of arrival may break.
pub const PROMISES: [&str; 10] = [
    "signed-out",
    "basket-lost",
    "acknowledged-write-lost",
    "logout-undone",
    "signed-in-after-logout",
    "begun-under-a-tombstone",
    "overtaken-reads-nothing",
    "reads-the-heir",
    "reads-after-the-grace",
    "reads-after-the-end",
];

impl Browser {
    pub(super) fn violations(&self, s: &State, out: &mut Vec<&'static str>) {
        let names = [
            (HEIR, "reads-the-heir"),
            (AFTER_GRACE, "reads-after-the-grace"),
            (AFTER_END, "reads-after-the-end"),
            (NOTHING, "overtaken-reads-nothing"),
            (BEGUN, "begun-under-a-tombstone"),
        ];
        out.extend(names.iter().filter(|(bit, _)| s.wrong & bit != 0).map(|(_, name)| name));
        for id in 0..s.next {
            let opened = self.opens(s, id);
            if opened.is_some_and(|row| (row.line | 1 << id) & s.logged_out != 0) {
                out.push("logout-undone");
            }
        }
        if s.requests.iter().all(|x| x.stage == Stage::Arrived) {
            self.at_rest(s, out);
        }
    }

    /// What a request that comes now with this cookie has, if it opens a session.
    fn opens(&self, s: &State, cookie: u8) -> Option<Row> {
        let mut s = s.clone();
        if Self::half(&s, cookie) {
            let old = s.rows[cookie as usize].replaces;
            self.finish(&mut s, old, None, cookie);
        }
        let row = (cookie != NONE).then(|| s.rows[cookie as usize])?;
        row.is(Life::Alive).then_some(row)
    }

    /// Every answer has arrived.
    fn at_rest(&self, s: &State, out: &mut Vec<&'static str>) {
        let of = |kinds: fn(Kind) -> bool| {
            let all = self.requests.iter().enumerate();
            all.filter(move |(_, kind)| kinds(**kind)).map(|(r, _)| (r, s.requests[r]))
        };
        let opened = self.opens(s, s.jar);
        let ended = of(Kind::ends).any(|(_, x)| x.acked);
        let logins = || of(|kind| kind == Kind::Login).filter(|(_, x)| x.acked);
        if ended && !logins().any(|(_, x)| x.after_end) {
            let grace = self.load(s, s.jar, false);
            let user = opened.is_some_and(|row| row.user) || grace.0 == Found::Grace && grace.2;
            if user {
                out.push("signed-in-after-logout");
            }
        }
        // An end that neither was over before the login began nor failed may come after it.
        let signed_in = logins().any(|(_, login)| {
            of(Kind::ends).all(|(end, x)| !x.acked || login.after & 1 << end != 0)
        });
        let user = self.start != Start::Visitor || signed_in;
        if signed_in && !opened.is_some_and(|row| row.user) {
            let visitor = self.start == Start::Visitor && opened.is_some();
            out.push(if visitor { "visitor-again" } else { "signed-out" });
        }
        if !ended {
            self.untouched(s, opened, user && !signed_in, logins().any(|(_, x)| x.late), out);
        }
    }

    /// Nobody has ended anything.
    fn untouched(
        &self,
        s: &State,
        opened: Option<Row>,
        user: bool,
        late_login: bool,
        out: &mut Vec<&'static str>,
    ) {
        let Some(row) = opened else {
            out.push("signed-out");
            return;
        };
        if user && !row.user {
            out.push("signed-out");
        }
        if late_login {
            return;
        }
        if row.data & BASKET == 0 || self.start == Start::Half && row.data & EARLIER == 0 {
            out.push("basket-lost");
        }
        let saved = (0..self.requests.len()).filter(|r| s.requests[*r].saved);
        if saved.fold(0, |set, r| set | 1 << r) & !row.data != 0 {
            out.push("acknowledged-write-lost");
        }
    }
}
