//! What equals what where only a request tells the types, and what such work may cost.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};

use cel::common::functions::Function;
use cel::common::types::{CelDouble, CelInt, CelList, CelMap, CelString, CelUInt, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

use super::asked::truth;

/// Comparisons of one evaluation.
pub(super) const MOST_COMPARISONS: u32 = 20_000;
/// Bytes of a text that are looked through at the price of a comparison.
const BYTES: usize = 32;

/// Names that no expression can have, each for a function of two values and the [`Budget`].
pub(super) const CONTAINS: &str = "@contains";
pub(super) const EQUAL: &str = "@equal";
pub(super) const HELD: &str = "@held";
pub(super) const MATCHES: &str = "@matches";
pub(super) const UNEQUAL: &str = "@unequal";
pub(super) const WITHIN: &str = "@within";

/// The function of an [`ExecutionError`] where the budget is spent.
pub(super) const SPENT: &str = "@spent";

/// What one evaluation has compared.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn spend(&self, comparisons: usize) -> Result<(), ExecutionError> {
        let more = u32::try_from(comparisons).unwrap_or(u32::MAX);
        let spent = self.0.load(Ordering::Relaxed).saturating_add(more);
        self.0.store(spent, Ordering::Relaxed);
        if spent > MOST_COMPARISONS {
            let message = format!("more than {MOST_COMPARISONS} comparisons");
            return Err(ExecutionError::function_error(SPENT, message));
        }
        Ok(())
    }
}

impl Val for Budget {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(Self(self.0.load(Ordering::Relaxed).into()))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Budget {}

/// Declares the functions. One that were missing would fail each evaluation that asks for it.
pub(super) fn declare(env: &mut Env) {
    let all: [(&str, Function); 6] = [
        (CONTAINS, |values| on(&values, contains)),
        (EQUAL, |values| on(&values, |one, other, budget| equal("==", one, other, budget))),
        (HELD, held),
        (MATCHES, |values| on(&values, matches)),
        (UNEQUAL, |values| {
            on(&values, |one, other, budget| equal("!=", one, other, budget).map(|same| !same))
        }),
        (WITHIN, |values| on(&values, within)),
    ];
    for (name, function) in all {
        env.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE, DYN_TYPE], function).ok();
    }
}

fn on<'b, 'v>(
    values: &[CowVal<'b, 'v>],
    does: impl Fn(&dyn Val, &dyn Val, &Budget) -> Result<bool, ExecutionError>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let missing = || ExecutionError::function_error(SPENT, "there is nothing to compare");
    let [one, other, budget] = values else { return Err(missing()) };
    let budget = budget.downcast_ref::<Budget>().ok_or_else(missing)?;
    does(one.as_ref(), other.as_ref(), budget).map(truth)
}

/// The first of the values, which is copied into a list or a map.
fn held<'b, 'v>(values: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    on(&values, |value, _, budget| budget.spend(parts(value)).map(|()| true))?;
    let first = values.into_iter().next();
    first.ok_or_else(|| ExecutionError::function_error(SPENT, "there is nothing to hold"))
}

/// How many values there are in a value, itself among them.
fn parts(value: &dyn Val) -> usize {
    let below: usize = if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        list.inner().iter().map(|element| parts(element.as_ref())).sum()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        map.inner().values().map(|value| parts(value.as_ref())).sum()
    } else {
        0
    };
    below + 1
}

fn unfit(name: &str, one: &dyn Val, other: &dyn Val) -> ExecutionError {
    let (one, other) = (one.get_type().name(), other.get_type().name());
    ExecutionError::function_error(name, format!("does not go with {one} and {other}"))
}

/// `one == other`, by the name of the operator. Values of different types are neither equal nor unequal:
/// an expression that means one of them was not written for the other.
fn equal(
    name: &str,
    one: &dyn Val,
    other: &dyn Val,
    budget: &Budget,
) -> Result<bool, ExecutionError> {
    let numbers = Number::of(one).is_some() && Number::of(other).is_some();
    if !numbers && one.get_type().kind() != other.get_type().kind() {
        return Err(unfit(name, one, other));
    }
    same(one, other, budget)
}

/// `value in of`.
fn within(value: &dyn Val, of: &dyn Val, budget: &Budget) -> Result<bool, ExecutionError> {
    if let Some(list) = of.downcast_ref::<CelList<'_>>() {
        for element in list.inner() {
            if same(value, element.as_ref(), budget)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    budget.spend(1)?;
    let map = of.downcast_ref::<CelMap<'_>>().and_then(Val::as_container);
    let map = map.ok_or_else(|| unfit("in", value, of))?;
    map.contains(value).map_err(|_| unfit("in", value, of))
}

/// `text.contains(part)`.
fn contains(text: &dyn Val, part: &dyn Val, budget: &Budget) -> Result<bool, ExecutionError> {
    let texts = (text.downcast_ref::<CelString<'_>>(), part.downcast_ref::<CelString<'_>>());
    let (Some(whole), Some(wanted)) = texts else { return Err(unfit("contains", text, part)) };
    budget.spend(1 + whole.inner().len() / BYTES)?;
    Ok(whole.inner().contains(wanted.inner()))
}

/// `text.matches(pattern)`.
fn matches(text: &dyn Val, pattern: &dyn Val, budget: &Budget) -> Result<bool, ExecutionError> {
    let length = text.downcast_ref::<CelString<'_>>().map_or(0, |text| text.inner().len());
    budget.spend(1 + length / BYTES)?;
    let pattern = pattern.as_container().ok_or_else(|| unfit("matches", text, pattern))?;
    pattern.contains(text)
}

/// Whether two values are the same, where values of different types are not.
fn same(one: &dyn Val, other: &dyn Val, budget: &Budget) -> Result<bool, ExecutionError> {
    budget.spend(1)?;
    if let (Some(one), Some(other)) = (Number::of(one), Number::of(other)) {
        return Ok(one.is(&other));
    }
    if let (Some(one), Some(other)) =
        (one.downcast_ref::<CelList<'_>>(), other.downcast_ref::<CelList<'_>>())
    {
        return same_lists(one, other, budget);
    }
    if let (Some(one), Some(other)) =
        (one.downcast_ref::<CelMap<'_>>(), other.downcast_ref::<CelMap<'_>>())
    {
        return same_maps(one, other, budget);
    }
    Ok(one.equals(other))
}

fn same_lists(
    one: &CelList<'_>,
    other: &CelList<'_>,
    budget: &Budget,
) -> Result<bool, ExecutionError> {
    if one.inner().len() != other.inner().len() {
        return Ok(false);
    }
    for (one, other) in one.inner().iter().zip(other.inner()) {
        if !same(one.as_ref(), other.as_ref(), budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_maps(
    one: &CelMap<'_>,
    other: &CelMap<'_>,
    budget: &Budget,
) -> Result<bool, ExecutionError> {
    if one.inner().len() != other.inner().len() {
        return Ok(false);
    }
    for (key, value) in one.inner() {
        let Some(other) = other.inner().get(key) else { return Ok(false) };
        if !same(value.as_ref(), other.as_ref(), budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A number of any type.
enum Number {
    Double(f64),
    Whole(i128),
}

impl Number {
    fn of(value: &dyn Val) -> Option<Self> {
        if let Some(number) = value.downcast_ref::<CelInt>() {
            return Some(Self::Whole((*number.inner()).into()));
        }
        if let Some(number) = value.downcast_ref::<CelUInt>() {
            return Some(Self::Whole((*number.inner()).into()));
        }
        value.downcast_ref::<CelDouble>().map(|number| Self::Double(*number.inner()))
    }

    /// Whether both are the same number, to the last digit.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one == other,
            (Self::Double(one), Self::Double(other)) => {
                one.partial_cmp(other).is_some_and(std::cmp::Ordering::is_eq)
            }
            (Self::Whole(whole), Self::Double(double))
            | (Self::Double(double), Self::Whole(whole)) => whole_of(*double) == Some(*whole),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it is whole; one out of range becomes the last in it"
)]
fn whole_of(double: f64) -> Option<i128> {
    (double.fract() == 0.0).then_some(double as i128)
}
