//! One node as serde sees it. A scalar means what the asking type wants it to mean, or nothing.

use serde::de::{Deserializer, Expected, Visitor};

use crate::at::At;
use crate::problem::Problem;
use crate::read::Context;
use crate::read::choice::Choice;
use crate::read::error::{ReadError, in_words};
use crate::read::mapping::{Elements, Keys};
use crate::yaml::tree::{Kind, Node, Scalar, Shape};

/// A node, its path, and what the readings share.
#[derive(Clone)]
pub(super) struct Value<'t, 'c, 'p> {
    pub(super) node: &'t Node,
    pub(super) at: At,
    pub(super) context: &'c Context<'p>,
}

impl<'t, 'c, 'p> Value<'t, 'c, 'p> {
    pub(super) const fn new(node: &'t Node, at: At, context: &'c Context<'p>) -> Self {
        Self { node, at, context }
    }

    /// Not what was wanted.
    pub(super) fn mistake(&self, expected: &dyn Expected) -> ReadError {
        let expected = in_words(&expected.to_string());
        let mut problem = Problem::new(self.at.clone(), format!("found {}", self.found()));
        if let Some(help) = self.help(&expected) {
            problem = problem.help(help);
        }
        ReadError::shown(problem.expected(expected))
    }

    /// What stands here, in words; never a value of the environment.
    pub(super) fn found(&self) -> String {
        match &self.node.kind {
            Kind::Mapping(entries) if entries.is_empty() => "an empty mapping".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
            Kind::Scalar(scalar) => in_short(scalar),
            Kind::Sequence(items) if items.is_empty() => "an empty list".to_owned(),
            Kind::Sequence(_) => "a list".to_owned(),
        }
    }

    fn help(&self, expected: &str) -> Option<String> {
        let Kind::Scalar(scalar) = &self.node.kind else { return None };
        match (expected, scalar.shape) {
            ("a string", Shape::Boolean | Shape::Number) => {
                Some(format!("put it into quotes: \"{}\"", scalar.text))
            }
            ("`true` or `false`", Shape::Boolean | Shape::Quoted | Shape::Word) => {
                Some("write true or false".to_owned())
            }
            (wanted, Shape::Quoted) if wanted.starts_with("a whole number") => {
                Some("write the number without quotes".to_owned())
            }
            (wanted, Shape::Number | Shape::Word) if wanted.starts_with("a whole number") => {
                Some("write digits alone: no sign, leading zero, `_`, point or exponent".to_owned())
            }
            (wanted, _) if wanted.starts_with("a list") && scalar.shape != Shape::Null => {
                Some(format!("write [{}]", scalar.written.as_deref().unwrap_or(&scalar.text)))
            }
            (_, Shape::Null) => Some("leave the key out to have its default".to_owned()),
            _ => None,
        }
    }

    fn number<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, ReadError> {
        let Kind::Scalar(Scalar { text, shape: Shape::Number, .. }) = &self.node.kind else {
            return Err(self.mistake(&visitor));
        };
        let plain = text == "0" || !text.starts_with('0');
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if plain && digits => {
                visitor.visit_u64(number).map_err(|error: ReadError| error.at(&self.at))
            }
            _ => Err(self.mistake(&visitor)),
        }
    }
}

fn in_short(scalar: &Scalar) -> String {
    let text = scalar.written.as_deref().unwrap_or(&scalar.text);
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    match scalar.shape {
        Shape::Null => "nothing".to_owned(),
        Shape::Number => format!("the number `{short}{dots}`"),
        Shape::Quoted => format!("the string \"{short}{dots}\""),
        Shape::Boolean | Shape::Reference | Shape::Word => format!("`{short}{dots}`"),
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.number(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'_, '_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Mapping(_) => self.deserialize_map(visitor),
            Kind::Scalar(_) => self.deserialize_str(visitor),
            Kind::Sequence(_) => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar(Scalar { text, shape: Shape::Boolean, .. }) if text == "true" => {
                visitor.visit_bool(true)
            }
            Kind::Scalar(Scalar { text, shape: Shape::Boolean, .. }) if text == "false" => {
                visitor.visit_bool(false)
            }
            Kind::Mapping(_) | Kind::Scalar(_) | Kind::Sequence(_) => Err(self.mistake(&visitor)),
        }
    }

    numbers!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64);

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar(Scalar {
                text,
                shape: Shape::Quoted | Shape::Reference | Shape::Word,
                ..
            }) => visitor.visit_str(text).map_err(|error: ReadError| error.at(&self.at)),
            Kind::Mapping(_) | Kind::Scalar(_) | Kind::Sequence(_) => Err(self.mistake(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.context.is_left_out(&self.at) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Sequence(items) => visitor.visit_seq(Elements::new(items, self)),
            Kind::Mapping(_) | Kind::Scalar(_) => Err(self.mistake(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Mapping(entries) => visitor.visit_map(Keys::new(entries, self, None)),
            Kind::Scalar(_) | Kind::Sequence(_) => Err(self.mistake(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Mapping(entries) => visitor.visit_map(Keys::new(entries, self, Some(fields))),
            Kind::Scalar(_) | Kind::Sequence(_) => {
                let keys = crate::problem::list(fields);
                Err(self.mistake(&format!("a mapping with {keys}").as_str()))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let at = self.at.clone();
        let choice = Choice::new(self, variants, &visitor)?;
        visitor.visit_enum(choice).map_err(|error| error.at(&at))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}
