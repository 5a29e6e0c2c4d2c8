//! Forms and queries in `application/x-www-form-urlencoded`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use tokio::time::timeout;

use crate::{failure::Failure, web::Body};

/// No form of ours comes near it.
const MAX_FORM: usize = 16 * 1024;
/// Somebody who sends a form of a few hundred bytes more slowly than this means no good.
const PATIENCE: Duration = Duration::from_secs(10);

/// All but unreserved characters (RFC 3986 section 2.3) and the slash.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The fields of a form or a query, decoded.
#[derive(Debug, PartialEq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a request's body, within bounds of size and time.
    pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Failure> {
        if !is(headers, "application/x-www-form-urlencoded") {
            return Err(Failure::Unsupported("This address expects a form."));
        }
        Self::parse(&read(body).await?).ok_or(Failure::Bad("The form is not valid UTF-8."))
    }

    pub(crate) fn of(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// The fields of an address such as `/login?next=/platforms`.
    pub(crate) fn of_query(query: Option<&str>) -> Self {
        Self::parse(query.unwrap_or_default().as_bytes()).unwrap_or(Self(Vec::new()))
    }

    /// The first value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn parse(encoded: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decoded(halves.next().unwrap_or_default())?;
            let value = decoded(halves.next().unwrap_or_default())?;
            fields.push((name, value));
        }
        Some(Self(fields))
    }
}

/// Reads a request's JSON, within the same bounds.
pub(crate) async fn json(headers: &HeaderMap, body: Body) -> Result<serde_json::Value, Failure> {
    if !is(headers, "application/json") {
        return Err(Failure::Unsupported("This address expects JSON."));
    }
    let body = read(body).await?;
    serde_json::from_slice(&body).map_err(|_| Failure::Bad("The body is not valid JSON."))
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|said| said.to_str().ok());
    let said = said.and_then(|said| said.split(';').next()).map(str::trim);
    said.is_some_and(|said| said.eq_ignore_ascii_case(kind))
}

async fn read(body: Body) -> Result<Bytes, Failure> {
    let body = timeout(PATIENCE, Limited::new(body, MAX_FORM).collect())
        .await
        .map_err(|_| Failure::TooSlow)?
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failure::TooLarge("The form is larger than 16 KiB.")
            } else {
                Failure::Bad("The form did not arrive completely.")
            }
        })?;
    Ok(body.to_bytes())
}

/// `text` for use inside a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn decoded(encoded: &[u8]) -> Option<String> {
    let plus = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    let spaced: Vec<u8> = encoded.iter().map(plus).collect();
    percent_decode(&spaced).decode_utf8().ok().map(Into::into)
}

/// For tests of handlers: the body of a form.
#[cfg(test)]
pub(crate) fn body_of(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fields_are_decoded() {
        for (name, query, field, expected) in [
            ("plain", "a=1&b=2", "b", Some("2")),
            ("the first counts", "a=1&a=2", "a", Some("1")),
            ("plus and per cent", "a=x+y%2Bz", "a", Some("x y+z")),
            ("UTF-8", "a=%C3%A4", "a", Some("\u{e4}")),
            ("no value", "a", "a", Some("")),
            ("an equals sign inside", "a=b=c", "a", Some("b=c")),
            ("a lone per cent stays", "a=100%", "a", Some("100%")),
            ("half an escape stays", "a=%4", "a", Some("%4")),
            ("absent", "a=1", "b", None),
        ] {
            assert_eq!(Fields::of_query(Some(query)).get(field), expected, "{name}");
        }
        assert_eq!(Fields::parse(b"a=%ff"), None);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let text = "/a b?c=d&e=\u{fc}+%";
        assert_eq!(decoded(encoded(text).as_bytes()).unwrap(), text);
    }
}
