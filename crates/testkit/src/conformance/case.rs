//! One raw request and what is asked of a gateway that gets it.

/// What the collection says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Must be refused.
    Severe,
    /// Must be refused or cut off from what comes before and after.
    Ambiguous,
    /// Must be served.
    Compliant,
    /// Nothing but the general rules.
    Any,
}

/// A raw request, or several in one write.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, unique among all.
    pub id: String,
    /// The collection it is from.
    pub set: &'static str,
    /// The bytes.
    pub raw: Vec<u8>,
    /// What is asked.
    pub tier: Tier,
}

impl Case {
    /// A request of the collection `set`.
    pub fn new(set: &'static str, id: impl Into<String>, raw: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), set, raw: raw.into(), tier: Tier::Any }
    }

    /// Whether its answer has no body.
    pub fn is_head(&self) -> bool {
        self.raw.starts_with(b"HEAD ")
    }
}
