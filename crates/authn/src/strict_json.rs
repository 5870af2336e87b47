//! JSON in which no member is named twice: of two `aud`, no two readers need see the same one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads an object of which no level names a member twice (RFC 7515 §4, RFC 7519 §4).
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Unique.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("it is not a JSON object"),
        Err(error) if error.is_data() => Err("it names a member twice"),
        Err(_) => Err("it is not JSON"),
    }
}

/// Reads any value; a member named twice is its only error of the data category.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Self)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Result<Value, &'static str>) {
        assert_eq!(&object(text.as_bytes()).map(Value::Object), expected, "{text}");
    }

    #[test]
    fn every_kind_of_value_comes_through() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\"y",{"b":{}}],"é":18446744073709551615}"#;
        check(text, &Ok(serde_json::from_str(text).unwrap()));
        check(" {} ", &Ok(json!({})));
    }

    #[test]
    fn a_member_named_twice_is_refused_at_every_depth() {
        for text in [
            r#"{"aud":"a","aud":"a"}"#,
            r#"{"aud":"a","a\u0075d":"b"}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
        ] {
            check(text, &Err("it names a member twice"));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "\"x\"", "1", "null"] {
            check(text, &Err("it is not a JSON object"));
        }
        let deep = "[".repeat(10_000);
        for text in ["", "{", "{}x", "{}{}", "\u{feff}{}", "{a:1}", "{\"a\":1e999}", &deep] {
            check(text, &Err("it is not JSON"));
        }
    }
}
