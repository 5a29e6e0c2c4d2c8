//! Which requests an [`Interceptor`](super::Interceptor) meddles with.

use super::held_requests::{Action, CatchAll, Cut};
use super::redis_contents::contains;
use super::redis_keys::key_end;

/// Which request is meant.
#[derive(Debug, Clone)]
#[must_use]
pub struct Matching {
    name: Option<String>,
    parts: Vec<Vec<u8>>,
    nth: u64,
}

impl Matching {
    /// By the command's name.
    pub fn command(name: &str) -> Self {
        Self { name: Some(name.to_uppercase()), parts: Vec::new(), nth: 1 }
    }

    /// A call of a script by its hash: that of [`redis::Script::get_hash`].
    pub fn script(hash: &str) -> Self {
        Self::command("EVALSHA").containing(hash)
    }

    /// By bytes in any argument: a key, a script's hash, a piece of SQL, a bound value.
    pub fn part(part: impl AsRef<[u8]>) -> Self {
        Self { name: None, parts: Vec::new(), nth: 1 }.containing(part)
    }

    /// Which contains this too; the id of a session also as it stands in a key.
    pub fn containing(mut self, part: impl AsRef<[u8]>) -> Self {
        self.parts.push(part.as_ref().to_owned());
        self
    }

    /// Not the first that comes from now on. Defaults to 1, the first.
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    fn is(&self, name: &str, texts: &[Vec<u8>]) -> bool {
        let has = |part: &Vec<u8>| {
            let in_key = match std::str::from_utf8(part) {
                Ok(id) if id.len() == 43 && id.is_ascii() => Some(key_end(id)),
                _ => None,
            };
            texts.iter().any(|text| {
                let is_key = |end: &String| contains(text, end.as_bytes());
                contains(text, part) || in_key.as_ref().is_some_and(is_key)
            })
        };
        self.name.as_ref().is_none_or(|wanted| wanted == name) && self.parts.iter().all(has)
    }
}

/// What a proxy watches for.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    matching: Matching,
    seen: u64,
    deed: Deed,
}

#[derive(Debug)]
pub(super) enum Deed {
    Once(Action),
    /// From the match that is meant on.
    CutEach(Cut),
    HoldEach(CatchAll),
}

impl Rules {
    pub(super) fn add(&mut self, matching: Matching, deed: Deed) {
        self.rules.push(Rule { matching, seen: 0, deed });
    }

    /// What to do with this request; every rule that it matches has seen it.
    pub(super) fn pick(&mut self, name: &str, texts: &[Vec<u8>]) -> Option<Action> {
        self.rules.retain(|rule| rule.deed.is_wanted());
        let mut due = None;
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if rule.matching.is(name, texts) {
                rule.seen += 1;
                if due.is_none() && rule.seen >= rule.matching.nth {
                    due = Some(index);
                }
            }
        }
        match &self.rules[due?].deed {
            Deed::CutEach(cut) => return Some(Action::CutReply(cut.clone())),
            Deed::HoldEach(all) => return all.catch(),
            Deed::Once(_) => {}
        }
        match self.rules.remove(due?).deed {
            Deed::Once(action) => Some(action.reached()),
            _ => None,
        }
    }
}

impl Deed {
    fn is_wanted(&self) -> bool {
        match self {
            Self::Once(action) => action.is_wanted(),
            Self::CutEach(_) => true,
            Self::HoldEach(all) => all.is_wanted(),
        }
    }
}
