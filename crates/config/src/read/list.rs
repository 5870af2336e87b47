//! Lists and free mappings that keep their places when something in them is left out.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::at::At;

/// A list of the file. An item that could not be read is not in it, the others keep their places.
#[derive(Clone, Debug)]
pub struct Items<T>(Vec<(usize, T)>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for Items<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().enumerate().collect())
    }
}

impl<T> Items<T> {
    /// The items, each with its path.
    pub fn at<'i>(&'i self, at: &At) -> impl Iterator<Item = (At, &'i T)> + use<'i, T> {
        let at = at.clone();
        self.0.iter().map(move |(index, item)| (at.index(*index), item))
    }

    /// The items, each with its path.
    pub(crate) fn into_at(self, at: &At) -> impl Iterator<Item = (At, T)> {
        self.0.into_iter().map(|(index, item)| (at.index(index), item))
    }

    /// The items.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, item)| item)
    }

    /// Whether nothing could be read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The items, without their places.
    pub(crate) fn into_vec(self) -> Vec<T> {
        self.0.into_iter().map(|(_, item)| item).collect()
    }
}

impl<T: Serialize> Serialize for Items<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, such as `[one, two]`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Items<T>, A::Error> {
        let mut items = Vec::new();
        let mut index = 0_usize;
        while let Some(item) = access.next_element::<Option<T>>()? {
            items.extend(item.map(|item| (index, item)));
            index += 1;
        }
        Ok(Items(items))
    }
}

impl<T: JsonSchema> JsonSchema for Items<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

/// A mapping with keys of the user's own.
#[derive(Clone, Debug)]
pub struct Entries<T>(Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Entries<T> {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in the order of the file.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The entries, each with its path.
    pub(crate) fn into_at(self, at: &At) -> impl Iterator<Item = (At, String, T)> {
        self.0.into_iter().map(|(key, value)| (at.key(&key), key, value))
    }
}

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, such as `{key: value}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        std::collections::BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}
