//! A statement with its parameters, prepared or as text.
//!
//! Usually prepared by name, once per connection. Behind a pooler in transaction mode a name is
//! invalid, or another client's statement: there all parameters are in the text, and one message is
//! one transaction.

use std::fmt::Write as _;

use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Type,
    postgres::{PgArguments, PgConnection, PgRow},
};

pub(super) struct Statement {
    sql: &'static str,
    form: Form,
    fault: Option<sqlx::Error>,
}

enum Form {
    Prepared(PgArguments),
    /// The parameters as SQL literals, and a prefix.
    Text(Vec<String>, String),
}

impl Statement {
    pub(super) fn prepared(sql: &'static str) -> Self {
        Self { sql, form: Form::Prepared(PgArguments::default()), fault: None }
    }

    /// One message, starting with `before`.
    pub(super) fn text(sql: &'static str, before: String) -> Self {
        Self { sql, form: Form::Text(Vec::new(), before), fault: None }
    }

    pub(super) fn is_prepared(&self) -> bool {
        matches!(self.form, Form::Prepared(_))
    }

    /// The value of the next `$1`, `$2`, ...
    pub(super) fn bind<'t, T>(mut self, value: T) -> Self
    where
        T: Encode<'t, sqlx::Postgres> + Type<sqlx::Postgres> + Literal,
    {
        match &mut self.form {
            Form::Prepared(arguments) => {
                if let Err(error) = arguments.add(value) {
                    self.fault = Some(sqlx::Error::Encode(error));
                }
            }
            Form::Text(literals, _) => {
                let mut literal = String::new();
                value.write(&mut literal);
                literals.push(literal);
            }
        }
        self
    }

    pub(super) async fn run(
        self,
        connection: &mut PgConnection,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        match self.form {
            Form::Prepared(arguments) => {
                sqlx::query_with(self.sql, arguments).fetch_all(connection).await
            }
            Form::Text(literals, before) => {
                let text = before + &in_place(self.sql, &literals);
                sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await
            }
        }
    }
}

/// The SQL with each `$1` replaced; our statements have no other dollar sign.
fn in_place(sql: &str, literals: &[String]) -> String {
    let mut text =
        String::with_capacity(sql.len() + literals.iter().map(String::len).sum::<usize>());
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        text.push_str(place.and_then(|place| literals.get(place)).map_or("NULL", String::as_str));
        text.push_str(rest);
    }
    text
}

/// A value as an SQL literal: without a character that could end a quotation.
pub(super) trait Literal {
    fn write(&self, sql: &mut String);
}

impl Literal for bool {
    fn write(&self, sql: &mut String) {
        sql.push_str(if *self { "true" } else { "false" });
    }
}

impl Literal for i16 {
    fn write(&self, sql: &mut String) {
        let _ = write!(sql, "'{self}'::smallint");
    }
}

impl Literal for i32 {
    fn write(&self, sql: &mut String) {
        let _ = write!(sql, "'{self}'::integer");
    }
}

impl Literal for i64 {
    fn write(&self, sql: &mut String) {
        let _ = write!(sql, "'{self}'::bigint");
    }
}

impl Literal for [u8] {
    fn write(&self, sql: &mut String) {
        sql.push_str("decode('");
        for byte in self {
            let _ = write!(sql, "{byte:02x}");
        }
        sql.push_str("', 'hex')");
    }
}

impl Literal for Vec<u8> {
    fn write(&self, sql: &mut String) {
        self.as_slice().write(sql);
    }
}

impl Literal for str {
    fn write(&self, sql: &mut String) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.chars().all(plain) {
            let _ = write!(sql, "'{self}'::text");
        } else {
            sql.push_str("convert_from(");
            self.as_bytes().write(sql);
            sql.push_str(", 'UTF8')");
        }
    }
}

impl Literal for String {
    fn write(&self, sql: &mut String) {
        self.as_str().write(sql);
    }
}

impl<T: Literal + ?Sized> Literal for &T {
    fn write(&self, sql: &mut String) {
        (**self).write(sql);
    }
}

impl<T: Literal> Literal for Option<T> {
    fn write(&self, sql: &mut String) {
        match self {
            Some(value) => value.write(sql),
            None => sql.push_str("NULL"),
        }
    }
}

/// An empty array needs the type of its elements.
macro_rules! arrays {
    ($($element:ty => $name:literal),*) => {$(
        impl Literal for Vec<$element> {
            fn write(&self, sql: &mut String) {
                sql.push_str("ARRAY[");
                for (place, element) in self.iter().enumerate() {
                    sql.push_str(if place == 0 { "" } else { ", " });
                    element.write(sql);
                }
                sql.push_str(concat!("]::", $name, "[]"));
            }
        }
    )*};
}

arrays!(
    i16 => "smallint", i64 => "bigint", Option<i64> => "bigint", String => "text",
    Option<String> => "text", Option<Vec<u8>> => "bytea"
);

#[cfg(test)]
mod tests {
    use crate::store::database::postgres::statement::*;

    fn literal(value: &impl Literal) -> String {
        let mut sql = String::new();
        value.write(&mut sql);
        sql
    }

    #[test]
    fn no_value_can_end_its_quotation() {
        for hostile in ["'; DROP TABLE x; --", "\\'", "$1", "$$", "\"", "ü", "a b", "\u{0}", ""] {
            let written = literal(&hostile);
            let inner = written.strip_prefix("convert_from(decode('");
            let inner = inner.and_then(|rest| rest.strip_suffix("', 'hex'), 'UTF8')"));
            match inner {
                Some(hex) => assert!(hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hostile}"),
                None => assert_eq!(written, "''::text", "{hostile}"),
            }
        }
        assert_eq!(literal(&"AZ09-_az".to_owned()), "'AZ09-_az'::text");
        assert_eq!(literal(&i64::MIN), "'-9223372036854775808'::bigint");
        assert_eq!(literal(&Vec::<String>::new()), "ARRAY[]::text[]");
        let two = vec![None, Some(vec![0_u8, 255])];
        assert_eq!(literal(&two), "ARRAY[NULL, decode('00ff', 'hex')]::bytea[]");
    }

    #[test]
    fn each_parameter_stands_in_its_place() {
        let literals: Vec<_> = (1..=12).map(|number| format!("v{number}")).collect();
        let text = in_place("a $1, $12 b ($2) $11", &literals);
        assert_eq!(text, "a v1, v12 b (v2) v11");
        assert_eq!(in_place("no parameter", &[]), "no parameter");
    }
}
