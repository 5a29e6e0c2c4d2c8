//! Error of an import: a kind and a text without a secret.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// Why a session of another library was not read. Never holds a secret: safe to log and to print.
///
/// ```
/// use tower_redis_session::import::{Format, ImportErrorKind, Importer};
///
/// let importer = Importer::builder(Format::FlaskSession).user_at(["user_id"]).build()?;
/// let pickled = b"\x80\x04}\x94\x8c\x07user_id\x94K*s.";
/// let error = importer.decode("id", pickled, None).unwrap_err();
/// assert_eq!(error.kind(), ImportErrorKind::Executable);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    kind: ImportErrorKind,
    text: Cow<'static, str>,
}

/// The kinds of [`ImportError`], for callers to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportErrorKind {
    /// The bytes are not of the format: truncated, of another library, or of another session.
    Malformed,
    /// No key verifies the signature, or none decrypts the bytes.
    Unverified,
    /// A limit is exceeded: 1 MiB of bytes, 1,024 names, 100 levels of nesting, 65,536 elements.
    TooLarge,
    /// Only the language that wrote the bytes can read them, by running code that they name:
    /// Python's pickle, PHP's `serialize`. Export these sessions as
    /// [JSON lines](crate::import::decode_line).
    Executable,
    /// A value has no equivalent in JSON, or its name is empty, above 65,535 bytes, or begins with
    /// a NUL.
    Value,
    /// What the application named as the user is no text of 1 to 1,024 bytes and no integer.
    User,
    /// A session with a user has no stamp, although the application named one, or it is no text of
    /// 1 to 128 bytes and no integer.
    Stamp,
}

impl ImportError {
    pub(crate) fn new(kind: ImportErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn malformed(text: &'static str) -> Self {
        Self::new(ImportErrorKind::Malformed, text)
    }

    pub(crate) fn too_large(text: &'static str) -> Self {
        Self::new(ImportErrorKind::TooLarge, text)
    }

    /// A parser's own text may quote a value: only the position is reported.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let (what, line, column) = (error.classify(), error.line(), error.column());
        let text = format!("not the JSON of the format: {what:?} at line {line} column {column}");
        Self::new(ImportErrorKind::Malformed, text)
    }

    /// The kind of the error, to match on.
    ///
    /// ```
    /// # use tower_redis_session::import::{ImportErrorKind, decode_line};
    /// let error = decode_line("{}").unwrap_err();
    /// assert_eq!(error.kind(), ImportErrorKind::Malformed);
    /// ```
    pub fn kind(&self) -> ImportErrorKind {
        self.kind
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for ImportError {}
