//! One of several shapes: a word, a mapping with one key that says which, or a shape by itself.
//!
//! A variant renamed to `<string>`, `<mapping>`, `<list>` or `<reference>` stands for any string,
//! any mapping, any list, or a string that is one `${NAME}`. So a derived enum can say
//! `public | {any_of: …}` without serde's untagged enums, which lose the place of a mistake.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, Expected, IntoDeserializer, VariantAccess, Visitor};

use crate::later;
use crate::problem::{Problem, nearest};
use crate::read::error::{ReadError, in_words};
use crate::read::value::Value;
use crate::yaml::tree::{Entry, Kind, Scalar, Shape};

/// The variant that was chosen, and its content.
pub(super) struct Choice<'t, 'c, 'p> {
    variant: &'static str,
    content: Option<Value<'t, 'c, 'p>>,
    whole: Value<'t, 'c, 'p>,
}

impl<'t, 'c, 'p> Choice<'t, 'c, 'p> {
    pub(super) fn new(
        whole: Value<'t, 'c, 'p>,
        variants: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Self, ReadError> {
        let shaped = |shape: &str| variants.iter().copied().find(|variant| *variant == shape);
        let whole_as = |variant, whole: Value<'t, 'c, 'p>| {
            Ok(Self { variant, content: Some(whole.clone()), whole })
        };
        match &whole.node.kind {
            Kind::Mapping(entries) => {
                if let Some(variant) = shaped("<mapping>") {
                    return whole_as(variant, whole);
                }
                keyed(&whole, entries, variants, expected).map(|(variant, content)| Self {
                    variant,
                    content: Some(content),
                    whole,
                })
            }
            Kind::Scalar(scalar) => {
                let Some(variant) = worded(scalar, variants) else {
                    return Err(not_a_word(&whole, scalar, variants, expected));
                };
                if variant.starts_with('<') {
                    return whole_as(variant, whole);
                }
                Ok(Self { variant, content: None, whole })
            }
            Kind::Sequence(_) => match shaped("<list>") {
                Some(variant) => whole_as(variant, whole),
                None => Err(whole.mistake(expected)),
            },
        }
    }
}

fn is_text(scalar: &Scalar) -> bool {
    matches!(scalar.shape, Shape::Quoted | Shape::Reference | Shape::Word)
}

fn worded(scalar: &Scalar, variants: &'static [&'static str]) -> Option<&'static str> {
    let find = |wanted: &str| variants.iter().copied().find(|variant| *variant == wanted);
    if !is_text(scalar) {
        return None;
    }
    let reference = (scalar.shape == Shape::Reference).then(|| find("<reference>")).flatten();
    reference.or_else(|| find(&scalar.text)).or_else(|| find("<string>"))
}

fn not_a_word(
    whole: &Value<'_, '_, '_>,
    scalar: &Scalar,
    variants: &'static [&'static str],
    expected: &dyn Expected,
) -> ReadError {
    let expected = in_words(&expected.to_string());
    if variants.contains(&"<reference>") && scalar.shape != Shape::Null {
        let problem = Problem::new(whole.at.clone(), "a secret may not stand in the file");
        return ReadError::shown(problem.expected(expected));
    }
    if !is_text(scalar) {
        let mut problem = Problem::new(whole.at.clone(), format!("found {}", whole.found()));
        let text = scalar.text.as_str();
        if scalar.shape != Shape::Null
            && (variants.contains(&"<string>") || variants.contains(&text))
        {
            problem = problem.help(format!("put it into quotes: \"{text}\""));
        }
        return ReadError::shown(problem.expected(expected));
    }
    if later::has_value(&whole.at, &scalar.text) {
        return ReadError::shown(Problem::not_in_this_version(whole.at.clone(), &scalar.text));
    }
    let message = match scalar.written {
        None => format!("`{}` is not known here", scalar.text),
        Some(_) => format!("found {}", whole.found()),
    };
    let mut problem = Problem::new(whole.at.clone(), message).expected(expected);
    let words: Vec<&str> = variants.iter().copied().filter(|word| !word.starts_with('<')).collect();
    if let Some(near) = nearest(&scalar.text, &words) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    ReadError::shown(problem)
}

fn keyed<'t, 'c, 'p>(
    whole: &Value<'t, 'c, 'p>,
    entries: &'t [Entry],
    variants: &'static [&'static str],
    expected: &dyn Expected,
) -> Result<(&'static str, Value<'t, 'c, 'p>), ReadError> {
    let [entry] = entries else {
        return Err(whole.mistake(expected));
    };
    let at = whole.at.key(&entry.key);
    if whole.context.is_left_out(&at) {
        return Err(ReadError::quiet(whole.at.clone()));
    }
    if let Some(variant) = variants.iter().copied().find(|variant| *variant == entry.key) {
        return Ok((variant, Value::new(&entry.value, at, whole.context)));
    }
    if later::has_key(&at) {
        let problem = Problem::not_in_this_version(at, &entry.key);
        return Err(ReadError::shown(problem.on_key()));
    }
    let words: Vec<&str> = variants.iter().copied().filter(|word| !word.starts_with('<')).collect();
    let mut problem = Problem::new(at, format!("unknown key `{}`", entry.key));
    if let Some(near) = nearest(&entry.key, &words) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    Err(ReadError::shown(problem.expected(in_words(&expected.to_string())).on_key()))
}

impl<'de> EnumAccess<'de> for Choice<'_, '_, '_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_, '_, '_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content {
            None => Ok(()),
            Some(content) => Err(ReadError::shown(
                Problem::new(content.at.clone(), format!("`{}` takes no value", self.variant))
                    .help(format!("write `{}` alone", self.variant)),
            )),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        let Some(content) = self.content else {
            let message = format!("`{}` needs a value", self.variant);
            let problem = Problem::new(self.whole.at.clone(), message);
            return Err(ReadError::shown(problem.help(format!("write {{{}: …}}", self.variant))));
        };
        let at = content.at.clone();
        seed.deserialize(content).map_err(|error| error.at(&at))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        Err(self.whole.mistake(&visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        Err(self.whole.mistake(&visitor))
    }
}
