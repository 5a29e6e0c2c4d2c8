//! Device of a session, for the list of sessions: address, user agent and the owner's label.

use std::{net::IpAddr, sync::Arc};

use crate::session::{external_id::ExternalId, token::TEXT_LEN};

/// Maximum length of the stored user agent, in bytes; a longer one is truncated.
const USER_AGENT_MAX: usize = 256;
/// Maximum length of a label, in bytes.
pub(crate) const LABEL_MAX: usize = 128;

/// Separates the label from the impersonated user. A label cannot contain it.
const SEPARATOR: char = '\u{1f}';

/// Precedes an external id, at the start of a stored label.
const EXTERNAL: char = '\u{1e}';

/// The device of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    address: Option<Box<str>>,
    user_agent: Option<Box<str>>,
    /// After `EXTERNAL` the external id of the sign-in, if any; the label; and after a `SEPARATOR`
    /// the impersonated user, if any.
    label: Option<Box<str>>,
}

impl Device {
    /// `user_agent` is sent by the client: characters that are not printable are dropped.
    pub(crate) fn seen(address: Option<IpAddr>, user_agent: Option<&[u8]>) -> Option<Arc<Self>> {
        let address = address.map(|address| address.to_canonical().to_string().into());
        let user_agent = user_agent.map(printable).filter(|text| !text.is_empty());
        Self::stored(address, user_agent, None)
    }

    /// Decodes a record's device; `None` if nothing is known.
    pub(crate) fn stored(
        address: Option<Box<str>>,
        user_agent: Option<Box<str>>,
        label: Option<Box<str>>,
    ) -> Option<Arc<Self>> {
        let device = Self { address, user_agent, label };
        (device != Self::default()).then(|| Arc::new(device))
    }

    /// The same device with another label, impersonated user or external id; `None` removes it.
    pub(crate) fn named(
        device: Option<&Self>,
        label: Option<&str>,
        acting_as: Option<&str>,
        external_id: Option<ExternalId>,
    ) -> Option<Arc<Self>> {
        let Self { address, user_agent, .. } = device.cloned().unwrap_or_default();
        let mut text = external_id.map_or_else(String::new, |id| format!("{EXTERNAL}{}", id.key()));
        text.push_str(label.unwrap_or_default());
        if let Some(user) = acting_as {
            text.push(SEPARATOR);
            text.push_str(user);
        }
        let label = (!text.is_empty()).then(|| text.into());
        Self::stored(address, user_agent, label)
    }

    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    pub(crate) fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    pub(crate) fn label(&self) -> Option<&str> {
        let label = self.after_external_id()?;
        let label = label.split_once(SEPARATOR).map_or(label, |(label, _)| label);
        Some(label).filter(|label| !label.is_empty())
    }

    /// The impersonated user.
    pub(crate) fn acting_as(&self) -> Option<&str> {
        self.after_external_id()?.split_once(SEPARATOR).map(|(_, user)| user)
    }

    /// The external id of the sign-in.
    pub(crate) fn external_id(&self) -> Option<ExternalId> {
        ExternalId::parse(self.label.as_deref()?.strip_prefix(EXTERNAL)?.get(..TEXT_LEN)?)
    }

    fn after_external_id(&self) -> Option<&str> {
        let label = self.label.as_deref()?;
        let after = label.strip_prefix(EXTERNAL).and_then(|rest| rest.get(TEXT_LEN..));
        Some(after.unwrap_or(label))
    }

    /// External id, label and impersonated user as a record stores them.
    pub(crate) fn stored_label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

/// Visible ASCII and spaces, truncated: it is shown in pages, logs and tables.
fn printable(text: &[u8]) -> Box<str> {
    let letters = text.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    letters.take(USER_AGENT_MAX).map(|byte| char::from(*byte)).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use crate::session::device::*;

    #[test]
    fn a_user_agent_is_made_fit_to_be_shown() {
        let long = vec![b'x'; 10_000];
        for (name, sent, kept) in [
            ("plain", b"Mozilla/5.0 (X11)".as_slice(), Some("Mozilla/5.0 (X11)")),
            ("control letters", b"a\x1b[31m\r\nb\0", Some("a[31mb")),
            ("not ASCII", b"caf\xc3\xa9 \xff", Some("caf ")),
            ("empty", b"", None),
            ("nothing visible", b"\x01\xff", None),
            ("too long", &long, Some(&"x".repeat(USER_AGENT_MAX))),
        ] {
            let device = Device::seen(None, Some(sent));
            let found = device.as_deref().and_then(Device::user_agent);
            assert_eq!(found, kept, "{name}");
        }
    }

    #[test]
    fn an_address_has_one_form() {
        for (sent, kept) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:DB8::0:1", "2001:db8::1"),
        ] {
            let device = Device::seen(Some(sent.parse().unwrap()), None);
            assert_eq!(device.unwrap().address(), Some(kept), "{sent}");
        }
        assert_eq!(Device::seen(None, None), None);
    }

    #[test]
    fn a_label_leaves_the_rest_and_goes_again() {
        let seen = Device::seen(Some("192.0.2.1".parse().unwrap()), Some(b"agent")).unwrap();
        let named = Device::named(Some(&seen), Some("Phone"), None, None).unwrap();
        assert_eq!((named.label(), named.address()), (Some("Phone"), Some("192.0.2.1")));
        assert_eq!(Device::named(Some(&named), None, None, None), Some(seen.clone()));
        assert_eq!(Device::named(None, None, None, None), None);
        let id = Some(ExternalId::of("iss|sid"));
        for (label, user, id) in [
            (None, Some("a\u{1f}b"), None),
            (Some("Phone"), Some("a\u{1f}b"), None),
            (None, None, id),
            (Some("Phone"), None, id),
            (None, Some("\u{1e}b"), id),
            (Some("Phone"), Some("a\u{1f}b"), id),
        ] {
            let acting = Device::named(Some(&seen), label, user, id).unwrap();
            assert_eq!((acting.label(), acting.acting_as()), (label, user));
            assert_eq!((acting.address(), acting.external_id()), (Some("192.0.2.1"), id));
        }
    }
}
