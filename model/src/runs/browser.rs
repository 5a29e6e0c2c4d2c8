//! Requests of one browser that overlap: every pair, every three, and the rules without a part.

use std::time::Instant;

use super::report::{explore_and_print, print_trace};
use crate::{
    browser::{
        Browser, Kind,
        Kind::{Login, Logout, Read, Renew, RevokeOthers, Write},
        Rules, Start,
        Start::{Half, User, Visitor},
        current,
    },
    explore::explore,
};

/// What three requests never break either, in whatever order they are sent and answered. The other
/// promises hold for two: see [`limits`].
pub const OF_THREE: [&str; 7] = [
    "basket-lost",
    "logout-undone",
    "begun-under-a-tombstone",
    "overtaken-reads-nothing",
    "reads-the-heir",
    "reads-after-the-grace",
    "reads-after-the-end",
];

/// One exploration, and what it breaks.
pub struct Case {
    pub name: &'static str,
    pub model: Browser,
    pub invariant: &'static str,
    /// After how many steps.
    pub steps: u32,
}

/// Every two requests, from every start, in two steps and in one script.
pub fn pairs(faults: u8) -> Vec<Browser> {
    let mut all = Vec::new();
    for start in Start::ALL {
        for (at, a) in Kind::ALL.into_iter().enumerate() {
            for b in Kind::ALL.into_iter().skip(at) {
                for two_steps in [true, false] {
                    let rules = Rules { two_steps, ..current() };
                    all.push(Browser { start, requests: vec![a, b], faults, rules });
                }
            }
        }
    }
    all
}

/// Every three requests, from every start.
pub fn threes(faults: u8) -> Vec<Browser> {
    let mut all = Vec::new();
    for start in Start::ALL {
        for (first, a) in Kind::ALL.into_iter().enumerate() {
            for (second, b) in Kind::ALL.into_iter().enumerate().skip(first) {
                for c in Kind::ALL.into_iter().skip(second) {
                    all.push(Browser { start, requests: vec![a, b, c], faults, rules: current() });
                }
            }
        }
    }
    all
}

fn case(
    name: &'static str,
    rules: Rules,
    (start, requests, faults): (Start, &[Kind], u8),
    invariant: &'static str,
    steps: u32,
) -> Case {
    Case {
        name,
        model: Browser { start, requests: requests.to_vec(), faults, rules },
        invariant,
        steps,
    }
}

/// The rules without one of their parts, and what that breaks first.
pub fn parts() -> Vec<Case> {
    let mut all = tombstone();
    all.extend(ends());
    all.extend(second_step());
    all.extend(second_login());
    all
}

fn tombstone() -> Vec<Case> {
    let r = current();
    let none = Rules { tombstone: false, ..r };
    let begins = Rules { drops_writes: false, ..r };
    let clears = Rules { leaves_cookie: false, ..r };
    let grace = Rules { grace: false, ..r };
    let heir = Rules { old_content: false, ..r };
    let unchecked = Rules { checks_heir: false, ..r };
    let write = (User, &[Write, Renew] as &[Kind], 0);
    vec![
        case("- tombstone: a write begins a session", none, write, "signed-out", 9),
        case("  the same, a read", none, (User, &[Read, Renew], 0), "overtaken-reads-nothing", 6),
        case("  the same, a login twice", none, (Visitor, &[Login, Login], 0), "basket-lost", 9),
        case("  the same, a logout", none, (User, &[Renew, Logout], 0), "logout-undone", 6),
        case("- grace", grace, (User, &[Read, Renew], 0), "overtaken-reads-nothing", 6),
        case("grace reads the heir", heir, (Visitor, &[Read, Login], 0), "reads-the-heir", 6),
        case(
            "grace does not look at the heir",
            unchecked,
            (User, &[Read, Renew, Logout], 0),
            "reads-after-the-end",
            9,
        ),
        case("a write begins a session", begins, write, "begun-under-a-tombstone", 7),
        case("  over the one that is there", begins, write, "signed-out", 9),
        case(
            "who finds no session clears the cookie",
            clears,
            (User, &[Read, Renew], 0),
            "signed-out",
            10,
        ),
    ]
}

fn ends() -> Vec<Case> {
    let r = current();
    let alone = Rules { end_follows: false, ..r };
    let keeps = Rules { keep_follows: false, ..r };
    let unchecked = Rules { revoke_checks: false, ..r };
    vec![
        case(
            "an end does not follow",
            alone,
            (User, &[Renew, Logout], 0),
            "signed-in-after-logout",
            8,
        ),
        case(
            "what is kept is not followed",
            keeps,
            (User, &[Renew, RevokeOthers], 0),
            "signed-out",
            9,
        ),
        case(
            "a session that was ended revokes others",
            unchecked,
            (User, &[Login, Logout, RevokeOthers], 0),
            "signed-out",
            11,
        ),
    ]
}

fn second_step() -> Vec<Case> {
    let r = current();
    let conflict = Rules { repeats_finish: false, ..r };
    let takes = Rules { takeover_checks: false, ..r };
    let first = Rules { first_checks_heir: false, ..r };
    vec![
        case(
            "a second step that is repeated is a conflict",
            conflict,
            (User, &[Read, Renew], 1),
            "signed-out",
            12,
        ),
        case("a tombstone is taken over", takes, (Half, &[Read, Read], 0), "basket-lost", 12),
        case(
            "  over what was written",
            takes,
            (Half, &[Read, Write], 0),
            "acknowledged-write-lost",
            12,
        ),
        case(
            "who comes first does not look at another heir",
            first,
            (User, &[Renew, Renew, Logout], 1),
            "signed-in-after-logout",
            13,
        ),
    ]
}

fn second_login() -> Vec<Case> {
    let r = current();
    let threes = (Visitor, &[Login, Login, Logout] as &[Kind], 0);
    vec![
        case(
            "a second login does not compare the tombstone",
            Rules { login_checks: false, ..r },
            threes,
            "logout-undone",
            9,
        ),
        case(
            "a second login is not named in the tombstone",
            Rules { login_listed: false, ..r },
            threes,
            "logout-undone",
            9,
        ),
    ]
}

/// What the rules in use do not give: answers whose order of arrival no server knows.
pub fn limits() -> Vec<Case> {
    let r = current();
    let login = (Visitor, &[Login, Login, Logout] as &[Kind], 0);
    vec![
        case(
            "a visitor's renewal is answered after the login",
            r,
            (Visitor, &[Renew, Login], 0),
            "visitor-again",
            9,
        ),
        case(
            "a write that finds its session ended is answered after the next login",
            r,
            (User, &[Write, Login, Logout], 0),
            "signed-out",
            11,
        ),
        case("a second login is answered after the logout", r, login, "signed-in-after-logout", 12),
        case("a login is answered after a logout and the next login", r, login, "signed-out", 12),
        case(
            "what is written before a second login is answered",
            r,
            (Visitor, &[Write, Login, Login], 0),
            "acknowledged-write-lost",
            13,
        ),
    ]
}

pub fn print() {
    for faults in 0..=2 {
        print_all(&format!("every pair, {faults} faults"), &pairs(faults));
    }
    for faults in 0..=1 {
        print_all(&format!("every three, {faults} faults"), &threes(faults));
    }
    for case in parts().iter().chain(&limits()) {
        let report = explore_and_print(case.name, &case.model, &[case.invariant], 20_000_000);
        for violation in report.violations.iter().filter(|v| v.invariant == case.invariant) {
            let steps: Vec<_> = violation.trace.iter().map(|label| format!("{label:?}")).collect();
            print_trace(violation.invariant, &steps);
        }
    }
}

fn print_all(name: &str, models: &[Browser]) {
    let (start, mut states, mut transitions, mut depth) = (Instant::now(), 0, 0, 0);
    let mut broken = Vec::new();
    for model in models {
        let report = explore(model, 20_000_000, &[]);
        assert!(report.exhausted, "{model:?}");
        states += report.states;
        transitions += report.transitions;
        depth = depth.max(report.depth);
        broken.extend(report.broken());
    }
    broken.sort_unstable();
    broken.dedup();
    println!(
        "{name}: {} explorations, {states} states, {transitions} transitions, depth {depth}, \
         {:.1}s; broken: {broken:?}",
        models.len(),
        start.elapsed().as_secs_f32(),
    );
}
