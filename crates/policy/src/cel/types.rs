//! What is known of a value before there is one.

use std::fmt;

/// The type of an expression, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Only a request can tell: claims.
    Any,
    Bool,
    Double,
    Duration,
    Int,
    List(Box<Self>),
    /// A mapping from texts.
    Map(Box<Self>),
    Null,
    Text,
    Timestamp,
    Uint,
}

use Type::{Any, Bool, Double, Duration, Int, List, Map, Null, Text, Timestamp, Uint};

impl Type {
    pub(super) fn list(of: Self) -> Self {
        List(Box::new(of))
    }

    pub(super) fn map(to: Self) -> Self {
        Map(Box::new(to))
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Double | Int | Uint)
    }

    /// Whether two of this type are compared in one step, and nothing else is found at a request.
    pub(super) const fn is_plain(&self) -> bool {
        match self {
            Bool | Double | Duration | Int | Text | Timestamp | Uint => true,
            Any | List(_) | Map(_) | Null => false,
        }
    }

    pub(super) const fn is_any(&self) -> bool {
        matches!(self, Any)
    }

    /// Whether it could turn out to be `wanted`.
    pub(super) fn may_be(&self, wanted: &Self) -> bool {
        let fits = self.may_equal(wanted) && (!self.is_number() || self == wanted);
        self.is_any() || wanted.is_any() || fits
    }

    /// Whether a value of the one can equal a value of the other.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Any, _) | (_, Any) => true,
            (List(one), List(other)) | (Map(one), Map(other)) => one.may_equal(other),
            (one, other) if one.is_number() && other.is_number() => true,
            (one, other) => one == other,
        }
    }

    /// Whether a value of the one can stand before or after a value of the other.
    pub(super) fn may_order(&self, other: &Self) -> bool {
        let ordered = |one: &Self| !matches!(one, List(_) | Map(_) | Null);
        ordered(self) && ordered(other) && self.may_equal(other)
    }

    /// What `in` and the macros find in it.
    pub(super) fn element(&self) -> Option<Self> {
        match self {
            Any => Some(Any),
            List(of) => Some(Self::clone(of)),
            Map(_) => Some(Text),
            Bool | Double | Duration | Int | Null | Text | Timestamp | Uint => None,
        }
    }

    /// What is behind a name in it.
    pub(super) fn field(&self) -> Option<Self> {
        match self {
            Any => Some(Any),
            Map(to) => Some(Self::clone(to)),
            List(_) | Bool | Double | Duration | Int | Null | Text | Timestamp | Uint => None,
        }
    }

    /// What its elements are found by, and what they are.
    pub(super) fn entry(&self) -> Option<(Self, Self)> {
        match self {
            Any => Some((Any, Any)),
            List(of) => Some((Int, Self::clone(of))),
            Map(to) => Some((Text, Self::clone(to))),
            Bool | Double | Duration | Int | Null | Text | Timestamp | Uint => None,
        }
    }

    /// What either of two is.
    pub(super) fn or(self, other: &Self) -> Self {
        if self == *other { self } else { Any }
    }

    /// What `self + other` is; `None` where they cannot be added. Two values of which nothing is known
    /// could be lists of any length.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Any, Any) => None,
            (Timestamp, Duration | Any) | (Duration | Any, Timestamp) => Some(Timestamp),
            (Duration, Duration) => Some(Duration),
            (Any, Duration) | (Duration, Any) => Some(Any),
            (Text, Text | Any) | (Any, Text) => Some(Text),
            (one, other) => one.times(other),
        }
    }

    /// What `self - other` is.
    pub(super) fn minus(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Any, Any | Timestamp | Duration) | (Timestamp, Any) => Some(Any),
            (Timestamp, Timestamp) | (Duration, Duration | Any) => Some(Duration),
            (Timestamp, Duration) => Some(Timestamp),
            (one, other) => one.times(other),
        }
    }

    /// What `self * other`, or `self / other`, is.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Any, Any) => Some(Any),
            (Any, number) | (number, Any) if number.is_number() => Some(number.clone()),
            (one, other) if one.is_number() && one == other => Some(one.clone()),
            _ => None,
        }
    }

    /// With its article, for messages.
    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Any => "a value of any type",
            Bool => "a bool",
            Double => "a double",
            Duration => "a duration",
            Int => "an int",
            List(_) => "a list",
            Map(_) => "a map",
            Null => "null",
            Text => "a string",
            Timestamp => "a timestamp",
            Uint => "a uint",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_words())
    }
}
