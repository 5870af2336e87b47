//! Keys and items on their way to serde: what is unknown is noted, what is wrong is left out.

use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, value::StrDeserializer};

use crate::later;
use crate::problem::Problem;
use crate::read::error::ReadError;
use crate::read::value::Value;
use crate::yaml::tree::{Entry, Node};

/// The entries of a mapping. With `fields`, other keys are mistakes.
pub(super) struct Keys<'t, 'c, 'p> {
    entries: std::slice::Iter<'t, Entry>,
    next: Option<&'t Entry>,
    of: Value<'t, 'c, 'p>,
    fields: Option<&'static [&'static str]>,
}

impl<'t, 'c, 'p> Keys<'t, 'c, 'p> {
    pub(super) fn new(
        entries: &'t [Entry],
        of: Value<'t, 'c, 'p>,
        fields: Option<&'static [&'static str]>,
    ) -> Self {
        Self { entries: entries.iter(), next: None, of, fields }
    }

    /// Whether the key is to be read; an unknown one is noted.
    fn takes(&self, entry: &Entry) -> bool {
        let at = self.of.at.key(&entry.key);
        if self.of.context.is_left_out(&at) {
            return false;
        }
        let Some(fields) = self.fields else { return true };
        if fields.contains(&entry.key.as_str()) {
            return true;
        }
        if self.of.context.problems.borrow().is_full() {
            return false;
        }
        let problem = if later::has_key(&at) {
            Problem::not_in_this_version(at, &entry.key)
        } else {
            Problem::unknown_key(at, &entry.key, fields)
        };
        self.of.context.problems.borrow_mut().push(problem.on_key());
        false
    }
}

impl<'de> MapAccess<'de> for Keys<'_, '_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        while let Some(entry) = self.entries.next() {
            if self.takes(entry) {
                self.next = Some(entry);
                let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
                return seed
                    .deserialize(key)
                    .map(Some)
                    .map_err(|e| e.at(&self.of.at.key(&entry.key)));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.next.take() else {
            return Err(ReadError::quiet(self.of.at.clone()));
        };
        let at = self.of.at.key(&entry.key);
        let value = Value::new(&entry.value, at.clone(), self.of.context);
        seed.deserialize(value).map_err(|error| error.at(&at))
    }
}

/// The items of a list; one that is left out reads as `None`.
pub(super) struct Elements<'t, 'c, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'t, Node>>,
    of: Value<'t, 'c, 'p>,
}

impl<'t, 'c, 'p> Elements<'t, 'c, 'p> {
    pub(super) fn new(items: &'t [Node], of: Value<'t, 'c, 'p>) -> Self {
        Self { items: items.iter().enumerate(), of }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, '_, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let at = self.of.at.index(index);
        let value = Value::new(item, at.clone(), self.of.context);
        seed.deserialize(value).map(Some).map_err(|error| error.at(&at))
    }
}
