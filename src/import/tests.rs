//! Sessions that the released libraries wrote, in `tests/samples.json`: their bytes as GET returned
//! them and the cookie that the client received. The key of the crates of Rust is 00..3f, express'
//! secret is `keyboard cat`, Django's `django-secret`, Flask's `flask-secret`.
//!
//! To see these fail: leave a part out of a MAC, skip the check of the id in `tower_sessions`, or
//! remove a limit of `message_pack`.

use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{clock::timestamp::Timestamp, import::*};

mod bounds;
mod mutations;
mod take_over;
mod values;

#[derive(Deserialize)]
struct Sample {
    name: String,
    cookie: String,
    key: String,
    /// In hexadecimal digits.
    value: String,
    ttl: Option<u64>,
}

/// Those of the repository, and those that `scripts/import_samples.sh` has just had written.
fn samples() -> Vec<Sample> {
    let mut all: Vec<_> = serde_json::from_str(include_str!("tests/samples.json")).unwrap();
    if let Ok(file) = std::env::var("IMPORT_SAMPLES") {
        let lines = std::fs::read_to_string(file).unwrap();
        all.extend(lines.lines().map(|line| serde_json::from_str::<Sample>(line).unwrap()));
    }
    all
}

fn sample(name: &str) -> Sample {
    samples().into_iter().find(|sample| sample.name == name).unwrap()
}

impl Sample {
    fn bytes(&self) -> Vec<u8> {
        let digits = self.value.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }

    fn headers(&self) -> HeaderMap {
        headers(self.cookie.as_bytes()).unwrap()
    }

    /// The id, as the importer of this sample finds it.
    fn id(&self) -> String {
        self.importer().find(&self.headers(), None).remove(0).id().to_owned()
    }

    fn decode(&self, bytes: &[u8]) -> Result<Imported, ImportError> {
        self.importer().decode(&self.id(), bytes, None)
    }

    fn importer(&self) -> Importer {
        self.builder().build().unwrap()
    }

    /// As the library was configured that wrote the sample.
    fn builder(&self) -> ImporterBuilder {
        let name = self.name.as_str();
        let with = |format| Importer::builder(format).user_at(["user_id"]);
        match name.split([' ', ':']).next().unwrap() {
            "tower-sessions" if name.ends_with("signed") => {
                with(Format::TowerSessions).signed_cookie(key())
            }
            "tower-sessions" if name.ends_with("private") => {
                with(Format::TowerSessions).private_cookie(key())
            }
            "tower-sessions" => with(Format::TowerSessions),
            "axum-login" => with(Format::TowerSessions).user_at(["axum-login.data", "user_id"]),
            "axum_session" => {
                let with = with(Format::AxumSession);
                match name.split(' ').nth(1).unwrap() {
                    "signed" => with.signed_cookie(key()),
                    "encrypted" => with.signed_cookie(key()).stored_key(key()),
                    _ => with,
                }
            }
            "actix-session" if name.contains("signed") => {
                with(Format::ActixSession).signed_cookie(key())
            }
            "actix-session" if name.contains("keygen") => {
                with(Format::ActixSession).private_cookie(key()).key_prefix("session:")
            }
            "actix-session" => with(Format::ActixSession).private_cookie(key()),
            "express-session" => {
                let with = with(Format::ExpressSession).signed_cookie("keyboard cat");
                let with = with.user_at(["passport", "user"]);
                if name.contains("rolling") { with.key_prefix("myapp:") } else { with }
            }
            "Flask-Session" if name.ends_with("signer") => {
                with(Format::FlaskSession).signed_cookie("flask-secret")
            }
            "Flask-Session" => with(Format::FlaskSession),
            "Django" => with(Format::Django).stored_key("django-secret").user_at(["_auth_user_id"]),
            // Of which there is nothing but the refusal.
            _ => with(Format::FlaskSession),
        }
    }

    fn is_executable(&self) -> bool {
        self.name.starts_with("phpredis") || self.name.starts_with("Django cache")
    }
}

/// 00..3f.
fn key() -> [u8; 64] {
    std::array::from_fn(|at| u8::try_from(at).unwrap())
}

/// Of a request that the client `ua` sent; `None` for bytes that no header can have.
fn headers(cookie: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_bytes(cookie).ok()?);
    headers.insert("user-agent", HeaderValue::from_static("ua"));
    Some(headers)
}

fn values(session: &Imported) -> Value {
    let value = |name: &str| (name.to_owned(), session.get::<Value>(name).unwrap().unwrap());
    Value::Object(session.names().map(value).collect())
}

/// What the sample's session held.
fn expected(name: &str) -> (Option<&'static str>, Value) {
    let cart = json!({ "items": ["tea", "grün"], "total": 4.5, "note": null });
    let all = |more: Value| {
        let mut all = json!({ "user_id": 42, "visits": 3, "cart": cart });
        let (into, more) = (all.as_object_mut().unwrap(), more.as_object().unwrap().clone());
        into.extend(more);
        all
    };
    let user = Some("42");
    let named = json!({ "name": "alice" });
    match name {
        "tower-sessions set_expiry 30 d" => (None, json!({ "x": 1 })),
        "axum-login" => {
            let hash = json!(b"pw-hash-of-42".to_vec());
            let data = json!({ "auth_hash": hash, "user_id": 42 });
            (user, json!({ "theme": "dark", "axum-login.data": data }))
        }
        "axum_session longterm" => (user, json!({ "user_id": 42 })),
        _ if name.starts_with("tower-sessions") => (user, all(json!({}))),
        _ if name.starts_with("Flask") => (user, all(json!({ "_flashes": [["message", "hi"]] }))),
        _ if name.starts_with("express") => {
            let more = json!({ "name": "alice", "flash": { "info": ["hi"] },
                               "passport": { "user": "42" } });
            (user, all(more))
        }
        "Django long, written now" => {
            let (user, mut values) = expected("Django written now");
            values["text"] = "a".repeat(5_000).into();
            (user, values)
        }
        _ if name.starts_with("Django") => {
            let values = json!({ "_auth_user_id": "42", "_auth_user_hash": "abc", "visits": 3,
                "_auth_user_backend": "django.contrib.auth.backends.ModelBackend", "cart": cart });
            (user, values)
        }
        _ => (user, all(named)),
    }
}

#[test]
fn each_sample_is_found_by_its_cookie_and_has_its_user_and_values() {
    let samples: Vec<_> = samples().into_iter().filter(|sample| !sample.is_executable()).collect();
    assert!(samples.len() >= 19, "{} samples", samples.len());
    for sample in samples {
        let name = sample.name.as_str();
        let found = sample.importer().find(&sample.headers(), None);
        let [old] = found.as_slice() else { panic!("{name}: {} sessions", found.len()) };
        assert_eq!(old.key(), sample.key, "{name}");
        let session = sample.importer().decode(old.id(), &sample.bytes(), None);
        let session = session.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (user, held) = expected(name);
        assert_eq!(session.user(), user, "{name}");
        assert_eq!(values(&session), held, "{name}");
        let printed = format!("{session:?} {old:?} {:?}", sample.importer());
        let secrets = [old.id(), "cart", "keyboard", "django-secret", "62, 63"];
        assert!(!secrets.iter().any(|secret| printed.contains(secret)), "{name}: {printed}");
    }
}

#[test]
fn the_expiry_is_that_of_the_bytes_or_of_the_store_whichever_is_earlier() {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    for (name, expires) in [
        ("tower-sessions default (OnSessionEnd)", Some("2026-12-13T17:46:22.805Z")),
        ("tower-sessions OnInactivity 1h", Some("2026-11-29T18:46:22.809Z")),
        ("express-session maxAge 1 h, rolling", Some("2026-11-29T18:46:24.034Z")),
        ("express-session + connect-redis defaults", None),
        ("actix-session signed cookie", None),
    ] {
        let sample = sample(name);
        assert!(sample.ttl.is_some());
        let (id, bytes) = (sample.id(), sample.bytes());
        let decode = |expires| sample.importer().decode(&id, &bytes, expires).unwrap().expires();
        assert_eq!(decode(None), expires.map(at), "{name}");
        let (early, late) = (at("2026-11-01T00:00:00Z"), at("2027-11-01T00:00:00Z"));
        assert_eq!(decode(Some(early)), Some(early), "{name}");
        assert_eq!(decode(Some(late)), Some(expires.map_or(late, at)), "{name}");
    }
}

#[test]
fn pickle_and_php_are_rejected_with_the_way_to_go_on() {
    let rejected: Vec<_> = samples().into_iter().filter(Sample::is_executable).collect();
    assert!(rejected.len() >= 4, "{} samples", rejected.len());
    for sample in rejected {
        for other in samples().iter().filter(|sample| !sample.is_executable()) {
            let error = other.decode(&sample.bytes()).unwrap_err();
            let name = (&sample.name, &other.name);
            assert_eq!(error.kind(), ImportErrorKind::Executable, "{name:?}");
            assert!(error.to_string().contains("JSON lines"), "{error}");
        }
    }
}

#[test]
fn settings_that_contradict_the_library_do_not_build() {
    let new = |format| Importer::builder(format).no_users();
    let (cookie, key_fault, user) = ("import cookie", "import key", "import user");
    for (name, builder, setting) in [
        ("no rule", Importer::builder(Format::FlaskSession), user),
        ("no name", Importer::builder(Format::FlaskSession).user_at([""; 0]), user),
        ("actix is never plain", new(Format::ActixSession), cookie),
        ("express is never plain", new(Format::ExpressSession), cookie),
        ("express is never private", new(Format::ExpressSession).private_cookie("k"), cookie),
        ("Django's is plain", new(Format::Django).stored_key("k").signed_cookie("k"), cookie),
        ("both", new(Format::TowerSessions).signed_cookie(key()).private_cookie(key()), cookie),
        ("short", new(Format::TowerSessions).signed_cookie([7; 63]), key_fault),
        ("empty", new(Format::ExpressSession).signed_cookie(""), key_fault),
        ("Django without", new(Format::Django), key_fault),
        ("a key without use", new(Format::FlaskSession).stored_key("k"), key_fault),
        (
            "a cookie that browsers reject",
            new(Format::FlaskSession).cookie(crate::CookieConfig::new("a b")),
            cookie,
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().setting(), setting, "{name}");
    }
}
