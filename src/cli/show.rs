//! `sessions show`: one session.

use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::{Output, or_dash, printable},
    },
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{record::Record, reserved::is_reserved, token::SessionId},
    store::maintenance::Maintenance,
};

pub(super) async fn show(
    store: &dyn Maintenance,
    id: &SessionId,
    values: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Some(record) = store.find(id).await? else { return Err(none(id)) };
    let now = store.store().clock().now();
    print(&Shown::of(*id, &record, values, now), output)?;
    Ok(Exit::Done)
}

/// No such session.
pub(super) fn none(id: &SessionId) -> Failure {
    Error::new(ErrorKind::Absent, format!("there is no session {id}")).into()
}

/// What a list shows of a session.
#[derive(Debug, Serialize)]
pub(super) struct Head<'a> {
    pub(super) id: SessionId,
    pub(super) user: Option<&'a str>,
    pub(super) created_at: Timestamp,
    pub(super) last_activity: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) authenticated_at: Option<Timestamp>,
    pub(super) address: Option<&'a str>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) label: Option<&'a str>,
    pub(super) acting_as: Option<&'a str>,
}

impl<'a> Head<'a> {
    pub(super) fn of(id: SessionId, record: &'a Record) -> Self {
        let device = record.device.as_deref();
        Self {
            id,
            user: record.user(),
            created_at: record.created(),
            last_activity: record.last_activity(),
            expires_at: record.end(),
            authenticated_at: record.authenticated,
            address: device.and_then(|device| device.address()),
            user_agent: device.and_then(|device| device.user_agent()),
            label: device.and_then(|device| device.label()),
            acting_as: device.and_then(|device| device.acting_as()),
        }
    }
}

/// All of a session.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    expired: bool,
    /// The current id of a session that has moved; this is the record from before.
    moved_to: Option<&'a SessionId>,
    idle_timeout_s: u64,
    absolute_end: Option<Timestamp>,
    remembered: bool,
    version: u64,
    bytes: usize,
    /// Platform and values can be read by the holder of the token only.
    sealed: bool,
    platform: Option<&'a str>,
    values: Vec<Named<'a>>,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    name: &'a str,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

impl<'a> Shown<'a> {
    /// With the content of the values if `values`, else with their names and sizes only.
    pub(super) fn of(id: SessionId, record: &'a Record, values: bool, now: Timestamp) -> Self {
        let content = |json: &[u8]| {
            let value = serde_json::from_slice(json);
            value.unwrap_or_else(|_| String::from_utf8_lossy(json).into_owned().into())
        };
        let named = |(name, json): (&'a str, &[u8])| Named {
            name,
            bytes: json.len(),
            value: values.then(|| content(json)),
        };
        Self {
            head: Head::of(id, record),
            expired: record.deadlines.is_over(now),
            moved_to: record.moved_to(),
            idle_timeout_s: record.deadlines.idle.as_secs(),
            absolute_end: record.deadlines.absolute_deadline,
            remembered: record.deadlines.remembered,
            version: record.version(),
            bytes: record.encoded_len(),
            sealed: record.sealed.is_some(),
            platform: record.platform.as_deref(),
            values: record
                .values
                .iter()
                .filter(|(name, _)| !is_reserved(name))
                .map(named)
                .collect(),
        }
    }
}

pub(super) fn print(shown: &Shown<'_>, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(shown);
    }
    let time = |time: Option<Timestamp>| time.map_or("-".to_owned(), |time| time.to_string());
    let head = &shown.head;
    let state = match (shown.moved_to, shown.expired) {
        (Some(to), _) => format!("moved to {to}"),
        (None, true) => "expired".to_owned(),
        (None, false) => "live".to_owned(),
    };
    output.fields([
        ("session", head.id.to_string()),
        ("state", state),
        ("user", or_dash(head.user)),
        ("acting as", or_dash(head.acting_as)),
        ("created", head.created_at.to_string()),
        ("authenticated", time(head.authenticated_at)),
        ("last activity", head.last_activity.to_string()),
        ("expires", head.expires_at.to_string()),
        ("absolute end", time(shown.absolute_end)),
        ("idle timeout", format!("{} s", shown.idle_timeout_s)),
        ("remembered", if shown.remembered { "yes" } else { "no" }.to_owned()),
        ("address", or_dash(head.address)),
        ("user agent", or_dash(head.user_agent)),
        ("label", or_dash(head.label)),
        ("version", shown.version.to_string()),
        ("size", format!("{} bytes", shown.bytes)),
    ])?;
    print_content(shown, output)
}

fn print_content(shown: &Shown<'_>, output: &mut Output) -> Result<(), Failure> {
    if shown.sealed {
        return output.fields([("values", "sealed".to_owned())]);
    }
    let platform = or_dash(shown.platform);
    output.fields([("platform", platform), ("values", shown.values.len().to_string())])?;
    for Named { name, bytes, value } in &shown.values {
        let name = printable(name);
        match value {
            None => output.line(format_args!("  {name}: {bytes} bytes"))?,
            Some(value) => {
                let value = value.to_string();
                output.line(format_args!("  {name}: {}", printable(&value)))?;
            }
        }
    }
    Ok(())
}
