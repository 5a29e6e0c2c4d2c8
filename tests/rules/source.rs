//! Reads the source files of the crate: their tokens, their imports, and the paths in their code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub struct Source {
    /// Below `src`.
    pub name: String,
    /// Without its tests.
    pub text: String,
    pub tokens: Vec<String>,
}

/// All of them, without unit tests.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
            // `main.rs` is the command's crate, and calls one function of this one.
            if !name.ends_with(".rs") || is_test || name == "main.rs" {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("\n#[cfg(test)]\n").next().unwrap().to_owned();
            let tokens = tokens(&text);
            found.push(Source { name, text, tokens });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(found.len() > 20, "the sources of the crate are under src/");
    found
}

impl Source {
    pub fn is_one_of(&self, files: &[&str]) -> bool {
        files.iter().any(|file| match file.strip_suffix('/') {
            Some(_) => self.name.starts_with(file),
            None => self.name == *file,
        })
    }

    pub fn names(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    /// Crates that the file names: roots of paths that are no name of this crate's own.
    pub fn crates(&self) -> BTreeSet<String> {
        let (imports, rest) = self.imports();
        let own = |root: &str| matches!(root, "crate" | "self" | "super" | "Self");
        let mut local: BTreeSet<String> = BTreeSet::new();
        for pair in self.tokens.windows(2).filter(|pair| pair[0] == "mod") {
            local.insert(pair[1].clone());
        }
        for path in imports.iter().filter(|path| own(&path[0])) {
            // `use crate::cookie` and `use crate::cookie::{self, ..}` bring in a name.
            let name = path.iter().rev().find(|part| *part != "self");
            local.extend(name.cloned());
        }
        let used = imports.into_iter().map(|path| path[0].clone());
        let paths = rest.windows(3).filter(|three| three[0] != "::" && three[2] == "::");
        let roots = used.chain(paths.map(|three| three[1].clone()));
        roots.filter(|root| !own(root) && !local.contains(root)).collect()
    }

    /// Every path of every `use`, and all tokens but those.
    pub fn imports(&self) -> (Vec<Vec<String>>, Vec<String>) {
        let (mut imports, mut rest) = (Vec::new(), vec![";".to_owned()]);
        let mut tokens = self.tokens.iter();
        while let Some(token) = tokens.next() {
            if token == "use" {
                let tree: Vec<String> =
                    tokens.by_ref().take_while(|token| *token != ";").cloned().collect();
                expand(&[], &tree, &mut imports);
            } else {
                rest.push(token.clone());
            }
        }
        (imports, rest)
    }

    /// The module that the file is: `store/redis.rs` and `store/redis/mod.rs` are `[store, redis]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
    }

    /// Whether the row with this name is of the file's map: a table headed `| file |`.
    pub fn is_map(&self, name: &str) -> bool {
        let mut lines = self.text.lines().skip_while(|line| !line.contains("| file |"));
        let map = lines.by_ref().take_while(|line| line.contains('|'));
        map.into_iter().any(|line| line.contains(&format!("| `{name}`")))
    }

    /// Every path into this crate that the file names, from the root of the crate: in `use`
    /// declarations, and in code that starts with `crate`, `self` or `super`.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let (mut paths, rest) = self.imports();
        let mut at = 0;
        while at < rest.len() {
            let starts = ["crate", "self", "super"].contains(&rest[at].as_str());
            let end =
                (at..rest.len()).step_by(2).find(|i| rest.get(i + 1).is_none_or(|t| t != "::"));
            let end = end.unwrap_or(at);
            // Where `pub(in path)` stands nothing is imported.
            let is_visibility = at > 1 && rest[at - 1] == "in" && rest[at - 2] == "(";
            if starts && end > at && !is_visibility {
                paths.push(rest[at..=end].iter().step_by(2).cloned().collect());
            }
            at = end + 1;
        }
        paths.iter().filter_map(|path| self.absolute(path)).collect()
    }

    /// What the file re-exports, as the name that it gives and the path that this stands for.
    pub fn re_exports(&self) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        for (at, _) in self.tokens.iter().enumerate().filter(|(_, token)| *token == "use") {
            let before = self.tokens[..at].last().map(String::as_str);
            if !matches!(before, Some("pub" | ")")) {
                continue;
            }
            let tree: Vec<String> =
                self.tokens[at + 1..].iter().take_while(|token| *token != ";").cloned().collect();
            let mut paths = Vec::new();
            expand(&[], &tree, &mut paths);
            let names = paths.iter().filter_map(|path| {
                Some((path.last()?.clone(), self.absolute(path).or_else(|| self.child(path))?))
            });
            found.extend(names);
        }
        found
    }

    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.module();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while let [first, after @ ..] = rest
                    && first == "super"
                {
                    let _ = base.pop();
                    rest = after;
                }
            }
            _ => return None,
        }
        base.extend(rest.iter().filter(|part| *part != "self").cloned());
        Some(base)
    }

    /// A path that begins with one of the file's own modules.
    fn child(&self, path: &[String]) -> Option<Vec<String>> {
        let own = self.tokens.windows(2).any(|pair| pair[0] == "mod" && pair[1] == path[0]);
        own.then(|| self.module().into_iter().chain(path.iter().cloned()).collect())
    }
}

/// `a::{b, c::d}` becomes `a::b` and `a::c::d`.
fn expand(prefix: &[String], tree: &[String], paths: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tree.len() {
        match tree[at].as_str() {
            "::" => {}
            "{" => {
                let mut depth = 0;
                let mut from = at + 1;
                for (index, token) in tree.iter().enumerate().skip(at) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    let ends = depth == 0 || depth == 1 && token == ",";
                    if ends && index > from {
                        expand(&path, &tree[from..index], paths);
                    }
                    if ends {
                        from = index + 1;
                    }
                    if depth == 0 {
                        return;
                    }
                }
            }
            // A new name for it changes nothing about what is named.
            "as" => break,
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        paths.push(path);
    }
}

/// Names, `::` and single signs; no comments, strings, characters or lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(chars[i] == '*' && at(i + 1) == '/') {
                i += 1;
            }
            i += 2;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character, or a lifetime.
            let closes = if at(i + 1) == '\\' {
                (i + 3..i + 12).find(|i| at(*i) == '\'')
            } else {
                (at(i + 2) == '\'').then_some(i + 2)
            };
            i = closes.unwrap_or(i) + 1;
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            found.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            found.push("::".into());
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.into());
            }
            i += 1;
        }
    }
    found
}

#[test]
fn the_reader_of_this_test_reads_rust() {
    let source =
        |text: &str| Source { name: "x.rs".into(), text: text.into(), tokens: tokens(text) };
    for (name, text, crates) in [
        ("use", "use redis::Client;", &["redis"][..]),
        ("group", "use std::{fmt, io};", &["std"]),
        ("nested group", "use crate::{a::{b, c}, cookie::find};", &[]),
        ("own module", "mod cookie; pub use cookie::EnvConfig;", &[]),
        ("imported module", "use crate::cookie; fn f() { cookie::find() }", &[]),
        ("imported with self", "use crate::cookie::{self, A}; fn f() { cookie::find() }", &[]),
        ("path in code", "fn f() { let x = redis::cmd(); }", &["redis"]),
        ("path behind our own", "fn f() { store::redis::cmd(); }", &["store"]),
        ("comment", "// redis::x\n/* bb8::y */ /// tokio::z\n", &[]),
        ("string", "const A: &str = \"redis::x \\\" tokio::y\";", &[]),
        ("character and lifetime", "fn f<'a>(x: &'a str) { x == '\"'; bb8::y(); }", &["bb8"]),
        ("group at the top", "use {redis::A, bb8::B};", &["redis", "bb8"]),
        ("renamed", "use tokio as x;", &["tokio"]),
    ] {
        let expected: BTreeSet<String> = crates.iter().map(ToString::to_string).collect();
        assert_eq!(source(text).crates(), expected, "{name}");
    }
}

#[test]
fn paths_are_read_from_the_root_of_the_crate() {
    let source = |name: &str, text: &str| Source {
        name: name.into(),
        text: text.into(),
        tokens: tokens(text),
    };
    for (name, file, text, expected) in [
        ("use", "a/b.rs", "use crate::c::{D, e::F};", &["c::D", "c::e::F"][..]),
        ("above", "a/b.rs", "use super::{c, super::d};", &["a::c"]),
        ("here", "a/mod.rs", "use self::c::D;", &["a::c::D"]),
        ("in code", "a.rs", "fn f() -> crate::b::C { super::d::e() }", &["b::C", "d::e"]),
        ("another crate", "a.rs", "use http::HeaderMap; fn f() { std::mem::take(x) }", &[]),
    ] {
        let found: Vec<_> = source(file, text).paths().iter().map(|path| path.join("::")).collect();
        assert!(
            expected.iter().all(|path| found.contains(&(*path).to_owned())),
            "{name}: {found:?}"
        );
        assert!(name != "another crate" || found.is_empty(), "{name}: {found:?}");
    }
    let room = source("a/mod.rs", "mod b; pub use b::C; pub(crate) use crate::d::E; use b::F;");
    let owned = |path: &[&str]| path.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected =
        [("C".to_owned(), owned(&["a", "b", "C"])), ("E".to_owned(), owned(&["d", "E"]))];
    assert_eq!(room.re_exports(), expected);
}
