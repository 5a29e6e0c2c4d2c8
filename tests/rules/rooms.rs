//! The rooms of `src` and the one direction of their imports.
//!
//! To see these fail: import `context` in a file of `session`; let two files of a room import each
//! other; name a room in `ARCHITECTURE.md` that there is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::source::{Source, sources};

/// Every room, and the rooms that its files may import: only such as stand before it in this table,
/// so no circle is possible. `ARCHITECTURE.md` explains them.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("clock", &["error"]),
    ("sync", &["clock"]),
    ("session", &["clock", "error"]),
    ("telemetry", &["error", "session"]),
    ("encryption", &["error", "session"]),
    ("transport", &["error", "session"]),
    ("store", &["clock", "error", "session", "sync", "telemetry"]),
    (
        "request",
        &["clock", "error", "encryption", "session", "store", "sync", "telemetry", "transport"],
    ),
    ("context", &["clock", "error", "request", "session", "telemetry"]),
    ("response", &["context", "error"]),
    ("import", &["clock", "context", "error", "request", "session", "store", "transport"]),
    (
        "layer",
        &[
            "clock",
            "context",
            "error",
            "import",
            "request",
            "encryption",
            "response",
            "session",
            "store",
            "telemetry",
            "transport",
        ],
    ),
    ("limiter", &["clock", "error", "layer", "request", "response", "store", "telemetry"]),
    ("guard", &["context", "error", "response", "telemetry"]),
    (
        "csrf",
        &["clock", "context", "error", "request", "response", "session", "telemetry", "transport"],
    ),
    (
        "directory",
        &[
            "clock",
            "context",
            "error",
            "guard",
            "encryption",
            "session",
            "store",
            "sync",
            "telemetry",
        ],
    ),
    ("session_api", &["context", "error", "guard", "request", "response", "session", "transport"]),
    (
        "admin_api",
        &["context", "csrf", "error", "guard", "layer", "response", "session", "session_api"],
    ),
    ("env", &["error", "layer", "request", "store", "transport"]),
    ("cli", &["clock", "env", "error", "session", "store"]),
    ("testing", &["clock", "context", "directory", "error", "layer", "session", "store"]),
    ("fuzzing", &["clock", "csrf", "encryption", "import", "session", "store", "transport"]),
];

/// Rooms that stand apart at the end of the picture.
const MAY_IMPORT_ANY: &[&str] = &["testing", "fuzzing"];

/// Files in `src` itself: `lib.rs` and the rooms of one file.
const ROOT_FILES_MAX: usize = 8;

/// All files, and what their paths lead to.
struct Tree {
    sources: Vec<Source>,
    /// File by module.
    modules: BTreeMap<Vec<String>, usize>,
    /// What a name in a module stands for, if the module only re-exports it.
    re_exports: BTreeMap<(Vec<String>, String), Vec<String>>,
}

impl Tree {
    fn read() -> Self {
        let sources = sources();
        let modules = sources.iter().enumerate().map(|(at, file)| (file.module(), at)).collect();
        let mut re_exports = BTreeMap::new();
        for file in &sources {
            for (name, path) in file.re_exports() {
                let _ = re_exports.insert((file.module(), name), path);
            }
        }
        Self { sources, modules, re_exports }
    }

    /// The path with every re-export followed to where the item is.
    fn follow(&self, path: &[String]) -> Vec<String> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let step = (0..path.len()).find_map(|at| {
                let is_module = self.modules.contains_key(&path[..=at]);
                let target = self.re_exports.get(&(path[..at].to_vec(), path[at].clone()))?;
                (!is_module).then(|| [target.as_slice(), &path[at + 1..]].concat())
            });
            match step {
                Some(further) if further != path => path = further,
                _ => break,
            }
        }
        path
    }

    /// The file that a path leads into.
    fn file(&self, path: &[String]) -> usize {
        let ends = (0..=path.len()).rev();
        ends.filter_map(|end| self.modules.get(&path[..end])).next().copied().unwrap()
    }

    /// Every import: from which file, into which file.
    fn imports(&self) -> BTreeSet<(usize, usize)> {
        let mut found = BTreeSet::new();
        for (from, source) in self.sources.iter().enumerate() {
            for path in source.paths() {
                let to = self.file(&self.follow(&path));
                if from != to && !source.module().is_empty() {
                    let _ = found.insert((from, to));
                }
            }
        }
        found
    }

    fn name(&self, file: usize) -> &str {
        &self.sources[file].name
    }

    fn room(&self, file: usize) -> &str {
        self.name(file).split('/').next().unwrap().trim_end_matches(".rs")
    }
}

#[test]
fn a_room_imports_only_rooms_above_it_and_only_those_of_the_table() {
    for (at, (room, may)) in ROOMS.iter().enumerate() {
        let above: Vec<_> = ROOMS[..at].iter().map(|(name, _)| name).collect();
        assert!(may.iter().all(|name| above.contains(&name)), "{room} imports upwards");
    }
    let tree = Tree::read();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let mut count = 0;
    for (from, to) in tree.imports() {
        let (room, other) = (tree.room(from), tree.room(to));
        if room == other {
            continue;
        }
        count += 1;
        let _ = used.insert((room, other));
        let row = ROOMS.iter().find(|(name, _)| *name == room);
        if row.is_none_or(|(_, may)| !may.contains(&other)) {
            wrong.push(format!("{} imports {}", tree.name(from), tree.name(to)));
        }
    }
    println!("{count} imports between files of different rooms, {} between rooms", used.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (room, may) in ROOMS {
        for other in *may {
            assert!(used.contains(&(*room, *other)), "{room} no longer imports {other}");
        }
    }
}

/// By its place in the search a file is met again only if it imports itself through others.
#[test]
fn no_two_files_of_a_room_import_each_other() {
    let tree = Tree::read();
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in tree.imports() {
        // A room's face declares its files, and they may name what it re-exports of its own.
        if !tree.sources[to].module().is_empty() {
            next.entry(from).or_default().push(to);
        }
    }
    let mut circles = Vec::new();
    for start in 0..tree.sources.len() {
        let (mut seen, mut open) = (BTreeSet::new(), next.get(&start).cloned().unwrap_or_default());
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(next.get(&file).into_iter().flatten());
            }
        }
        if seen.contains(&start) {
            circles.push(tree.name(start));
        }
    }
    assert!(circles.is_empty(), "these files import themselves through others: {circles:#?}");
}

#[test]
fn the_rooms_are_the_folders_of_src_and_the_picture_of_the_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rooms: Vec<_> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let mut there = BTreeSet::new();
    let mut files = 0;
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            assert!(entry.path().join("mod.rs").exists(), "src/{name} has no map");
        } else {
            files += 1;
        }
        let _ = there.insert(name.trim_end_matches(".rs").to_owned());
    }
    assert!(files <= ROOT_FILES_MAX, "{files} files in src itself");
    assert!(there.remove("lib") && there.remove("main"));
    rooms.sort();
    assert_eq!(rooms, there.into_iter().collect::<Vec<_>>());
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let picture = text.split("```").nth(1).expect("a picture between two fences");
    for room in rooms {
        let is_there = picture
            .split_whitespace()
            .any(|word| word.trim_end_matches([',', '/']).trim_end_matches(".rs") == room);
        assert!(is_there, "{room} is not in the picture of ARCHITECTURE.md");
    }
    let line = |room: &str| {
        let starts =
            |line: &str| line.split([' ', '/', '.']).next().is_some_and(|name| name == room);
        picture.lines().position(starts).unwrap_or_else(|| panic!("{room} begins no line"))
    };
    for (room, may) in ROOMS.iter().filter(|(room, _)| !MAY_IMPORT_ANY.contains(room)) {
        for other in *may {
            assert!(
                line(room) < line(other),
                "{room} imports {other}, which the picture has above it"
            );
        }
    }
}

/// Where a folder has few files their names say enough.
const FILES_WITHOUT_MAP: usize = 3;

#[test]
fn the_map_of_a_folder_names_its_files_and_no_others() {
    let mut wrong = Vec::new();
    let mut maps = 0;
    for source in sources().iter().filter(|source| !source.module().is_empty()) {
        let declares =
            source.tokens.windows(3).filter(|three| three[0] == "mod" && three[2] == ";");
        let files: BTreeSet<_> = declares.map(|three| three[1].as_str()).collect();
        let rows = source.text.lines().filter(|line| line.starts_with("//") && line.contains('|'));
        let cells = rows.filter_map(|line| line.split('|').nth(1));
        let named: BTreeSet<_> =
            cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        if files.len() <= FILES_WITHOUT_MAP {
            continue;
        }
        maps += 1;
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(source.module().join("/"));
        for file in files.difference(&named) {
            wrong.push(format!("{} does not name {file}", source.name));
        }
        // A folder of other files than Rust's may be named too. Other tables name no file.
        for file in named.difference(&files).filter(|name| !name.contains([' ', '/', '(', ':'])) {
            if !folder.join(file).is_dir() && source.is_map(file) {
                wrong.push(format!("{} names {file}, which is not there", source.name));
            }
        }
    }
    assert!(maps >= 15, "{maps} maps");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_is_a_module_that_its_parent_declares() {
    let sources = sources();
    let declared: BTreeSet<Vec<String>> = sources
        .iter()
        .flat_map(|source| {
            let children = source.tokens.windows(2).filter(|pair| pair[0] == "mod");
            children
                .map(|pair| [source.module(), vec![pair[1].clone()]].concat())
                .collect::<Vec<_>>()
        })
        .collect();
    for source in sources.iter().filter(|source| !source.module().is_empty()) {
        assert!(declared.contains(&source.module()), "nobody declares {}", source.name);
    }
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md", "examples/README.md"]
    {
        let text = fs::read_to_string(root.join(document)).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = name.contains('/') && !name.contains([' ', '(', '<', '*', '\n']);
            let name = name.trim_end_matches('/');
            let is_there = ["", "src", "tests"].iter().any(|at| root.join(at).join(name).exists());
            if is_path && !is_there {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
