//! The files in `deploy`: what an image is made of exists, the commands in it build, the health check
//! tells ready from not ready, and systemd accepts the units.
//!
//! To see these fail: name a folder in `Containerfile` that does not exist, leave out `COPY model`, or
//! misspell a feature; let the health check accept a 503; misspell a setting of a unit, or remove
//! `ProtectSystem`, `PrivateDevices` and `SystemCallFilter`.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

/// The exposure that `systemd-analyze security` finds: 10 is the most. In tenths.
const EXPOSURE_MAX: &str = "15";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn deploy(name: &str) -> PathBuf {
    root().join("deploy").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy(name)).unwrap()
}

fn files(suffix: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("deploy")).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.to_str().unwrap().ends_with(suffix)).collect()
}

fn succeeded(output: &Output) -> String {
    let [said, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{said}{error}");
    format!("{said}{error}")
}

/// The instructions of the file, each in one line.
fn instructions() -> Vec<String> {
    let text = read("Containerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What the instructions copy out of the repository.
fn copied() -> Vec<String> {
    let copies = instructions().into_iter().filter(|line| line.starts_with("COPY "));
    let own = copies.filter(|line| !line.contains("--from="));
    own.flat_map(|line| {
        let mut words: Vec<_> = line
            .split(' ')
            .skip(1)
            .filter(|word| !word.starts_with("--"))
            .map(str::to_owned)
            .collect();
        words.pop();
        words
    })
    .collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        let _ = fs::copy(from, to).unwrap();
    }
}

/// The commands are not executed here; Cargo resolves what they would build from the copied files.
#[test]
fn an_image_is_built_from_the_files_that_it_copies() {
    let context = tempfile::tempdir().unwrap();
    let copied = copied();
    assert!(copied.len() >= 6, "{copied:?}");
    for name in &copied {
        let from = root().join(name);
        assert!(from.exists(), "{name} does not exist");
        let to = context.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy(&from, &to);
    }
    let run = instructions().into_iter().find(|line| line.contains("cargo build")).unwrap();
    let build = run.split("&&").find(|part| part.contains("cargo build")).unwrap();
    let (_, build) = build.split_once("cargo build ").unwrap();
    let words: Vec<_> = build.split_whitespace().filter(|word| *word != "--release").collect();
    assert!(words.contains(&"--locked"), "{words:?}");
    let cargo = || {
        let mut cargo = Command::new(env!("CARGO"));
        let _ = cargo.current_dir(context.path());
        cargo
    };
    let tree = cargo().args(["tree", "--offline", "--depth", "0"]).args(&words).output().unwrap();
    let tree = succeeded(&tree);
    // Each binary that is installed is one of the packages.
    let metadata =
        cargo().args(["metadata", "--offline", "--locked", "--no-deps"]).output().unwrap();
    let metadata = succeeded(&metadata);
    let programs: Vec<_> =
        run.split(' ').filter_map(|word| word.strip_prefix("target/release/")).collect();
    assert_eq!(programs, ["caption-server", "tower-redis-session"]);
    for program in programs {
        assert!(tree.contains(&format!("{program} v")), "{tree}");
        assert!(
            metadata
                .contains(&format!(r#""kind":["bin"],"crate_types":["bin"],"name":"{program}""#))
        );
    }
}

#[test]
fn an_image_runs_as_a_user_without_rights_and_with_a_health_check() {
    let instructions = instructions();
    let last: BTreeMap<_, _> =
        instructions.iter().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(last["USER"], "10001:10001");
    assert!(last["HEALTHCHECK"].ends_with(r#"CMD ["healthcheck"]"#));
    assert_eq!(last["ENTRYPOINT"], r#"["caption-server"]"#);
    assert!(instructions.iter().filter(|line| line.starts_with("FROM ")).count() == 2);
    let state = "/var/lib/caption-server";
    assert_eq!((last["WORKDIR"], last["VOLUME"]), (state, state));
}

/// One server for each health check: it replies with this status line, if it replies.
fn health(status: Option<&'static str>) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let (mut request, mut bytes) = (String::new(), [0; 1024]);
        while !request.contains("\r\n\r\n") {
            let read = client.read(&mut bytes).unwrap();
            request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        if let Some(status) = status {
            write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        request
    });
    let mut check = Command::new(deploy("healthcheck.sh"));
    let output = check.env("LISTEN", format!("0.0.0.0:{port}")).output().unwrap();
    assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\nHost: localhost\r\n"));
    output
}

#[test]
fn the_health_check_tells_ready_from_not_ready() {
    succeeded(&health(Some("200 OK")));
    for status in [Some("503 Service Unavailable"), Some("404 Not Found"), None] {
        assert!(!health(status).status.success(), "{status:?}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Command::new(deploy("healthcheck.sh")).arg(free.port().to_string()).output();
    assert!(!nobody.unwrap().status.success());
}

#[test]
fn units_share_their_state_and_each_timer_has_its_service() {
    let services = files(".service");
    assert_eq!(services.len(), 3);
    for service in &services {
        let text = fs::read_to_string(service).unwrap();
        for line in [
            "DynamicUser=yes",
            "User=caption-server",
            "StateDirectory=caption-server",
            "EnvironmentFile=/etc/caption-server.env",
        ] {
            assert!(text.lines().any(|found| found == line), "{}: {line}", service.display());
        }
    }
    for timer in files(".timer") {
        assert!(timer.with_extension("service").exists(), "{}", timer.display());
    }
    let readme = read("README.md");
    for file in fs::read_dir(root().join("deploy")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || readme.contains(&format!("]({name})")), "{name}");
    }
}

#[test]
fn systemd_accepts_the_units_and_finds_little_exposed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("NOT RUN: systemd-analyze is missing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for unit in files(".service").into_iter().chain(files(".timer")) {
        // The programs are not installed here: any that exist are executable.
        let text = fs::read_to_string(&unit).unwrap();
        let text = text.replace("/usr/local/bin/caption-server", "/bin/true");
        let text = text.replace("/usr/local/bin/tower-redis-session", "/bin/true");
        let copy = folder.path().join(unit.file_name().unwrap());
        fs::write(&copy, text).unwrap();
        units.push(copy);
    }
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output().unwrap();
    // It prints warnings, such as of an unknown setting, and succeeds.
    let ours = succeeded(&verified);
    let ours: Vec<_> =
        ours.lines().filter(|line| line.contains(folder.path().to_str().unwrap())).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    for unit in units.iter().filter(|unit| unit.extension().unwrap() == "service") {
        let mut analyze = Command::new("systemd-analyze");
        let _ = analyze.args(["security", "--no-pager", "--offline=yes", "--threshold"]);
        let rated = analyze.arg(EXPOSURE_MAX).arg(unit).output().unwrap();
        assert!(
            rated.status.success(),
            "{}: {}",
            unit.display(),
            String::from_utf8_lossy(&rated.stdout)
        );
    }
}
