//! The claims of a principal as values of an expression, made once per principal.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use portcullis_core::Principal;
use serde_json::{Map, Value};

/// Elements of a list or a mapping: with more of them the claims cannot be used, so that no token
/// makes an expression take long.
pub(super) const MOST_ELEMENTS: usize = 1000;

type Boxed = Box<dyn Val>;

/// What expressions see of a principal, beside its plain fields.
#[derive(Debug)]
pub(super) struct Facts {
    /// `None`: too many elements somewhere.
    pub(super) claims: Option<CelMap<'static>>,
    pub(super) scopes: Option<CelList<'static>>,
    pub(super) roles: Option<CelList<'static>>,
}

impl Facts {
    pub(super) fn of(principal: &Principal) -> Self {
        Self {
            claims: mapping(&principal.claims),
            scopes: texts(&principal.scopes),
            roles: texts(&principal.roles),
        }
    }
}

fn texts(all: &[String]) -> Option<CelList<'static>> {
    let boxed = |text: &String| -> Boxed { Box::new(CelString::from(text.clone())) };
    (all.len() <= MOST_ELEMENTS).then(|| all.iter().map(boxed).collect::<Vec<_>>().into())
}

fn mapping(entries: &Map<String, Value>) -> Option<CelMap<'static>> {
    if entries.len() > MOST_ELEMENTS {
        return None;
    }
    let entry =
        |(key, value): (&String, &Value)| Some((CelMapKey::from(key.clone()), value_of(value)?));
    let entries: Option<HashMap<CelMapKey<'static>, Boxed>> = entries.iter().map(entry).collect();
    entries.map(CelMap::from)
}

fn value_of(value: &Value) -> Option<Boxed> {
    Some(match value {
        Value::Array(items) if items.len() > MOST_ELEMENTS => return None,
        Value::Array(items) => {
            let items: Option<Vec<Boxed>> = items.iter().map(value_of).collect();
            Box::new(CelList::from(items?))
        }
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Null => Box::new(CelNull),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (None, Some(whole)) => Box::new(CelUInt::from(whole)),
            (None, None) => Box::new(CelDouble::from(number.as_f64()?)),
        },
        Value::Object(entries) => Box::new(mapping(entries)?),
        Value::String(text) => Box::new(CelString::from(text.clone())),
    })
}
