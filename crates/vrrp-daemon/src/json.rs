//! JSON that is written: values with a `Display`.

use std::fmt;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, written already.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Names with values, in this order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// An object that is filled with [`Value::with`].
    pub fn object() -> Value {
        Value::Object(Vec::new())
    }

    /// The object with one name more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Value {
        if let Value::Object(all) = &mut self {
            all.push((name.into(), value.into()));
        }
        self
    }

    /// Seconds, to the microsecond.
    pub fn seconds(of: std::time::Duration) -> Value {
        Value::Number(format!("{}.{:06}", of.as_secs(), of.subsec_micros()))
    }
}

impl From<bool> for Value {
    fn from(of: bool) -> Value {
        Value::Bool(of)
    }
}

impl From<&str> for Value {
    fn from(of: &str) -> Value {
        Value::Text(of.into())
    }
}

impl From<String> for Value {
    fn from(of: String) -> Value {
        Value::Text(of)
    }
}

impl From<Vec<Value>> for Value {
    fn from(of: Vec<Value>) -> Value {
        Value::List(of)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(of: Option<T>) -> Value {
        of.map_or(Value::Null, Into::into)
    }
}

macro_rules! numbers {
    ($($kind:ty)*) => {
        $(impl From<$kind> for Value {
            fn from(of: $kind) -> Value {
                Value::Number(of.to_string())
            }
        })*
    };
}

numbers!(u8 u32 u64 usize i32 i64);

/// A slash is escaped, as keepalived's library does it; readers take both.
fn text(of: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in of.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '/' => f.write_str("\\/")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(of) => write!(f, "{of}"),
            Value::Number(of) => f.write_str(of),
            Value::Text(of) => text(of, f),
            Value::List(all) => {
                f.write_str("[")?;
                for (at, value) in all.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Object(all) => {
                f.write_str("{")?;
                for (at, (name, value)) in all.iter().enumerate() {
                    f.write_str(if at > 0 { "," } else { "" })?;
                    text(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written() {
        let value =
            Value::object().with("a", 1u8).with("b", vec![Value::Null, "x/\"\\\u{1}é".into(), true.into()]).with("c", Value::object());
        assert_eq!(value.to_string(), r#"{"a":1,"b":[null,"x\/\"\\\u0001é",true],"c":{}}"#);
        assert_eq!(Value::seconds(std::time::Duration::from_millis(1500)).to_string(), "1.500000");
        assert_eq!(Value::from(None::<u8>).to_string(), "null");
    }
}
