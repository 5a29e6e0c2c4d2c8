//! MessagePack, read in place and written as JSON text.
//!
//! A decoder of its own: each length is checked against the bytes that are left, nothing is
//! allocated for a length that is only claimed, nesting and elements are counted. Bytes become
//! base64 and times RFC 3339, as msgspec, which writes Flask's sessions, has them in JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::import::{
    error::{ImportError, ImportErrorKind},
    imported::Imported,
};

const DEPTH_MAX: usize = 100;
const ELEMENTS_MAX: usize = 65_536;
/// The extension type of a time.
const TIME: u8 = 0xff;

/// The bytes that are left.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    elements: usize,
}

/// One item, without the elements of an array or a map.
pub(crate) enum Item<'a> {
    Nil,
    Bool(bool),
    /// Of 64 bits, with or without a sign.
    Int(i128),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Array(usize),
    Map(usize),
    Extension(u8, &'a [u8]),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, elements: 0 }
    }

    /// The next item. After an array or a map its elements follow.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, ImportError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(ImportError::too_large("there are more than 65,536 elements"));
        }
        let [marker] = self.array()?;
        Ok(match marker {
            0x00..=0x7f => Item::Int(marker.into()),
            0x80..=0x8f => Item::Map(usize::from(marker & 0x0f)),
            0x90..=0x9f => Item::Array(usize::from(marker & 0x0f)),
            0xa0..=0xbf => self.text(usize::from(marker & 0x1f))?,
            0xc0 => Item::Nil,
            0xc2 => Item::Bool(false),
            0xc3 => Item::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(marker - 0xc4)?;
                Item::Bytes(self.take(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(marker - 0xc7)?;
                self.extension(len)?
            }
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.length(marker - 0xd9)?;
                self.text(len)?
            }
            0xdc | 0xdd => Item::Array(self.length(marker - 0xdb)?),
            0xde | 0xdf => Item::Map(self.length(marker - 0xdd)?),
            0xe0..=0xff => Item::Int(i8::from_be_bytes([marker]).into()),
            _ => self.number(marker)?,
        })
    }

    fn number(&mut self, marker: u8) -> Result<Item<'a>, ImportError> {
        Ok(match marker {
            0xca => Item::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Item::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Item::Int(u8::from_be_bytes(self.array()?).into()),
            0xcd => Item::Int(u16::from_be_bytes(self.array()?).into()),
            0xce => Item::Int(u32::from_be_bytes(self.array()?).into()),
            0xcf => Item::Int(u64::from_be_bytes(self.array()?).into()),
            0xd0 => Item::Int(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Item::Int(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Item::Int(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Item::Int(i64::from_be_bytes(self.array()?).into()),
            // 0xc1, which no encoder uses.
            _ => return Err(malformed()),
        })
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, size: u8) -> Result<usize, ImportError> {
        let length: u32 = match size {
            0 => u8::from_be_bytes(self.array()?).into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            _ => u32::from_be_bytes(self.array()?),
        };
        usize::try_from(length).map_err(|_| malformed())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(malformed)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ImportError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self, len: usize) -> Result<Item<'a>, ImportError> {
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| malformed())?;
        Ok(Item::Text(text))
    }

    fn extension(&mut self, len: usize) -> Result<Item<'a>, ImportError> {
        let [kind] = self.array()?;
        Ok(Item::Extension(kind, self.take(len)?))
    }

    /// A session without user and expiry: a map of its values.
    pub(crate) fn session(&mut self) -> Result<Imported, ImportError> {
        let Item::Map(len) = self.item()? else { return Err(malformed()) };
        let mut session = Imported::default();
        for _ in 0..len {
            let name = self.name()?;
            session.insert(name, &self.json()?)?;
        }
        Ok(session)
    }

    fn name(&mut self) -> Result<&'a str, ImportError> {
        match self.item()? {
            Item::Text(name) => Ok(name),
            _ => Err(malformed()),
        }
    }

    /// Fails if bytes are left.
    pub(crate) fn end(self) -> Result<(), ImportError> {
        if self.rest.is_empty() { Ok(()) } else { Err(malformed()) }
    }

    /// The next value with all that is in it, as JSON.
    fn json(&mut self) -> Result<String, ImportError> {
        let mut json = String::new();
        self.value(&mut json, 0)?;
        Ok(json)
    }

    fn value(&mut self, json: &mut String, depth: usize) -> Result<(), ImportError> {
        if depth > DEPTH_MAX {
            return Err(ImportError::too_large("a value is nested deeper than 100"));
        }
        match self.item()? {
            Item::Array(len) => {
                json.push('[');
                for at in 0..len {
                    separate(json, at);
                    self.value(json, depth + 1)?;
                }
                json.push(']');
            }
            Item::Map(len) => {
                json.push('{');
                for at in 0..len {
                    separate(json, at);
                    self.key(json)?;
                    self.value(json, depth + 1)?;
                }
                json.push('}');
            }
            scalar => json.push_str(&scalar.to_json()?),
        }
        Ok(())
    }

    fn key(&mut self, json: &mut String) -> Result<(), ImportError> {
        let key = match self.item()? {
            Item::Text(text) => quoted(text)?,
            Item::Int(number) => format!("\"{number}\""),
            _ => return Err(ImportError::new(ImportErrorKind::Value, "a key of a map is no text")),
        };
        json.push_str(&key);
        json.push(':');
        Ok(())
    }
}

impl Item<'_> {
    fn to_json(&self) -> Result<String, ImportError> {
        let odd = |text| Err(ImportError::new(ImportErrorKind::Value, text));
        match self {
            Self::Nil => Ok("null".to_owned()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(number) => Ok(number.to_string()),
            Self::Float(number) if !number.is_finite() => odd("a number is not finite"),
            Self::Float(number) => serde_json::to_string(number).map_err(|_| malformed()),
            Self::Text(text) => quoted(text),
            Self::Bytes(bytes) => quoted(&STANDARD.encode(bytes)),
            Self::Extension(TIME, bytes) => quoted(&time_text(bytes).ok_or_else(malformed)?),
            Self::Extension(..) => odd("a value is of an extension type"),
            Self::Array(_) | Self::Map(_) => Err(malformed()),
        }
    }
}

fn separate(json: &mut String, at: usize) {
    if at > 0 {
        json.push(',');
    }
}

fn quoted(text: &str) -> Result<String, ImportError> {
    serde_json::to_string(text).map_err(|_| malformed())
}

/// The three forms of a time: seconds in 4 bytes; nanoseconds in 30 and seconds in 34 bits; both in
/// 12 bytes.
fn time_text(bytes: &[u8]) -> Option<String> {
    let (seconds, nanos) = match *bytes {
        [a, b, c, d] => (u32::from_be_bytes([a, b, c, d]).into(), 0),
        [_, _, _, _, _, _, _, _] => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        [a, b, c, d, ref seconds @ ..] => {
            let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
            (seconds, u32::from_be_bytes([a, b, c, d]))
        }
        _ => return None,
    };
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?.replace_nanosecond(nanos).ok()?;
    time.format(&Rfc3339).ok()
}

fn malformed() -> ImportError {
    ImportError::malformed("not the MessagePack of the format")
}
