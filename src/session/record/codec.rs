//! Encoding and decoding of a record: the whole, its head, its content.

use bytes::Bytes;

#[cfg(feature = "encryption")]
use crate::{clock::timestamp::Timestamp, session::expiry::Deadlines};
use crate::{
    error::Error,
    session::record::{Record, format},
};

impl Record {
    /// Decodes the bytes of [`to_bytes`](Self::to_bytes); the record version is stored separately,
    /// where the store can compare it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for bytes of a newer version of this crate, else `Corrupt`. Never panics, and
    /// allocates no more than the user, the platform and a reference to `bytes`.
    ///
    /// ```
    /// # use tower_redis_session::{ErrorKind, store::Record};
    /// let error = Record::from_bytes(1, "TRS\u{7}...".into()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unsupported);
    /// ```
    pub fn from_bytes(version: u64, bytes: Bytes) -> Result<Self, Error> {
        format::decode(version, bytes)
    }

    /// The versioned envelope: all of the record except its version.
    ///
    /// ```
    /// # use tower_redis_session::store::Record;
    /// # let record = Record::example();
    /// let again = Record::from_bytes(record.version(), record.to_bytes().into())?;
    /// assert_eq!(again, record);
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.append_to(&mut bytes);
        bytes
    }

    /// Decodes what a list of sessions contains of a record, from its first 2 KiB at most; platform
    /// and values are left out.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes).
    ///
    /// ```
    /// # use tower_redis_session::store::Record;
    /// let bytes = Record::example().to_bytes();
    /// let head = Record::head_from_bytes(1, bytes.into())?;
    /// assert_eq!(head.user(), Some("alice"));
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    pub fn head_from_bytes(version: u64, mut bytes: Bytes) -> Result<Self, Error> {
        format::decode_head(version, &mut bytes)
    }

    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        format::encode(self, bytes);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        format::len(self)
    }

    /// Size that counts towards the limit of a record: without the device, and as if unsealed.
    pub(crate) fn weight(&self) -> usize {
        let (user, platform) = (self.user.as_deref(), self.platform.as_deref());
        Self::weight_with(user, platform, self.values.encoded_len())
    }

    /// The size with values of that length in bytes.
    pub(crate) fn weight_with(user: Option<&str>, platform: Option<&str>, values: usize) -> usize {
        format::weight(user, platform, values)
    }

    /// The head, without the two times that a touch changes.
    #[cfg(feature = "encryption")]
    pub(crate) fn append_fixed_head_to(&self, bytes: &mut Vec<u8>) {
        let nothing = Timestamp::from_millis(0);
        let deadlines = Deadlines { idle_deadline: nothing, ..self.deadlines };
        let head = Self { last_activity: nothing, deadlines, ..self.closed(Box::default()) };
        format::encode_head(&head, bytes);
    }

    /// The content that is sealed.
    #[cfg(feature = "encryption")]
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        format::encode_content(self, &mut content);
        content
    }

    /// The same record with its content.
    #[cfg(feature = "encryption")]
    pub(crate) fn opened(mut self, content: Bytes) -> Result<Self, Error> {
        self.sealed = None;
        format::decode_content(&mut self, content)?;
        Ok(self)
    }
}
