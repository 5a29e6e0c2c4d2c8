//! Parser for the token's field of a form; reads nothing else of it
//! (`application/x-www-form-urlencoded`, WHATWG URL section 5.1).

use percent_encoding::percent_decode;

use crate::csrf::error::CsrfErrorKind;

/// The value of the field `name`. Several are treated as none: the handler might read another one
/// than this did.
pub(crate) fn field(form: &[u8], name: &str) -> Result<Vec<u8>, CsrfErrorKind> {
    let mut values = form.split(|byte| *byte == b'&').filter_map(|pair| value(pair, name));
    let value = values.next().ok_or(CsrfErrorKind::Missing)?;
    if values.next().is_some() { Err(CsrfErrorKind::Malformed) } else { Ok(value) }
}

fn value(pair: &[u8], name: &str) -> Option<Vec<u8>> {
    let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (key, value) = pair.split_at_checked(end)?;
    // A longer key cannot be the name, so it is not decoded.
    let ours = key.len() <= name.len().saturating_mul(3) && decode(key) == name.as_bytes();
    ours.then(|| decode(value.strip_prefix(b"=").unwrap_or(value)))
}

/// Bytes, not text: the token is compared as sent, whether it is UTF-8 or not.
fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::csrf::form::*;

    #[test]
    fn the_field_is_found_by_its_exact_name_once() {
        let missing = Err(CsrfErrorKind::Missing);
        for (name, form, found) in [
            ("alone", "t=abc", Ok("abc")),
            ("among others", "a=1&t=abc&b=2", Ok("abc")),
            ("escaped", "a=%26t%3Dx&%74=%61+%62%2b", Ok("a b+")),
            ("an equals sign in it", "t=a=b", Ok("a=b")),
            ("no value", "t", Ok("")),
            ("empty value", "t=", Ok("")),
            ("signs that escape nothing", "t=%zz%4%", Ok("%zz%4%")),
            ("a sign in front of an escape", "t=%%41%4%41", Ok("%A%4A")),
            ("decoded once", "t=%2541", Ok("%41")),
            ("pairs without anything", "&&t=abc&&", Ok("abc")),
            ("empty", "", missing),
            ("another case", "T=abc", missing),
            ("the name is only a part", "xt=abc&tx=abc&t[]=abc", missing),
            ("in the value of another", "a=t=abc", missing),
            ("white space before", "+t=abc", missing),
            ("a semicolon separates nothing", "a=1;t=abc", missing),
            ("twice", "t=abc&t=abc", Err(CsrfErrorKind::Malformed)),
            ("twice, once escaped", "t=abc&%74=xyz", Err(CsrfErrorKind::Malformed)),
        ] {
            let found = found.map(|value: &str| value.as_bytes().to_vec());
            assert_eq!(field(form.as_bytes(), "t"), found, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

        #[test]
        fn what_a_browser_encodes_is_found_again(
            before in "[a-z]{0,4}", value in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let encoded: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
            let form = format!("x{before}=1&csrf%5Ftoken={encoded}&y=2");
            prop_assert_eq!(field(form.as_bytes(), "csrf_token"), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_form(form in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = field(&form, "t") {
                prop_assert!(value.len() < form.len());
            }
        }
    }
}
