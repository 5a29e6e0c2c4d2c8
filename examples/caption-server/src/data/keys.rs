//! The keys that platform tokens are sealed with: from the environment, or from a file that is made
//! at the first start.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tower_redis_session::encryption::KeyRing;

/// The ring of `told` (`id:key,id:key`), else that of the file.
pub(crate) fn ring(told: Option<&str>, file: &Path) -> Result<KeyRing, String> {
    if let Some(told) = told.filter(|told| !told.trim().is_empty()) {
        return told.trim().parse().map_err(|error| format!("CAPTION_KEYS: {error}"));
    }
    let name = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(file).map_err(|error| format!("{name} cannot be created: {error}"))?
        }
        Err(error) => return Err(format!("{name} cannot be read: {error}")),
    };
    text.trim().parse().map_err(|error| format!("{name}: {error}"))
}

/// Only for this user's eyes, and never over a file that is there.
fn make(file: &Path) -> io::Result<String> {
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    let text = format!("first:{}\n", URL_SAFE_NO_PAD.encode(key));
    let mut options = fs::OpenOptions::new();
    let _ = options.write(true).create_new(true);
    #[cfg(unix)]
    let _ = std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(mut opened) => {
            io::Write::write_all(&mut opened, text.as_bytes())?;
            opened.sync_all()?;
            Ok(text)
        }
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(file),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_is_made_once_and_read_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let sealed = ring(None, &file).unwrap().seal(&[b"here"], b"secret").unwrap();
        assert_eq!(ring(Some("  "), &file).unwrap().open(&[b"here"], &sealed).unwrap(), b"secret");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_bad_key_says_where_it_stands_and_shows_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        fs::write(&file, "a:hunter2").unwrap();
        for told in [None, Some("a:hunter2"), Some("hunter2")] {
            let error = ring(told, &file).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains(if told.is_some() { "CAPTION_KEYS" } else { "keys: " }));
        }
    }
}
