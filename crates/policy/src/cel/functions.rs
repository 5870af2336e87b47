//! The functions that expressions know, with the types that they take and give.

use super::types::Type;

/// Why a call is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// No function of this name.
    Unknown,
    /// The function takes other numbers of arguments.
    Arity(&'static str),
    /// The argument of this number, from 0, or the value before the dot, is not what it takes.
    Wrong(Option<usize>, Type),
    /// Called as `x.f()` where it is `f(x)`.
    NotAMember,
    /// Called as `f(x)` where it is `x.f()`.
    NotGlobal,
}

const OF_TIME: [&str; 10] = [
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
];
const OF_DURATION: [&str; 4] = ["getHours", "getMilliseconds", "getMinutes", "getSeconds"];
const OF_TEXT: [&str; 3] = ["contains", "endsWith", "startsWith"];
const CONVERSIONS: [&str; 7] = ["bool", "double", "duration", "int", "string", "timestamp", "uint"];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "filter", "has"];

/// Every name that can be called, in order.
pub(super) fn names() -> Vec<&'static str> {
    let others = ["matches", "size"];
    let all = OF_TIME.into_iter().chain(OF_TEXT).chain(CONVERSIONS).chain(MACROS).chain(others);
    let mut all: Vec<&str> = all.collect();
    all.sort_unstable();
    all
}

/// The type of `target.name(arguments)`, or of `name(arguments)`.
pub(super) fn call(
    name: &str,
    target: Option<&Type>,
    arguments: &[Type],
) -> Result<Type, CallError> {
    match target {
        Some(target) if name == "size" => sized(target, None, arguments, 0),
        Some(target) if OF_TEXT.contains(&name) => of_text(target, arguments),
        Some(target) if OF_TIME.contains(&name) => of_time(name, target, arguments),
        Some(_) if CONVERSIONS.contains(&name) => Err(CallError::NotAMember),
        None if name == "size" => {
            sized(arguments.first().unwrap_or(&Type::Any), Some(0), arguments, 1)
        }
        None if CONVERSIONS.contains(&name) => conversion(name, arguments),
        None if OF_TEXT.contains(&name) || OF_TIME.contains(&name) => Err(CallError::NotGlobal),
        _ => Err(CallError::Unknown),
    }
}

/// What is wrong with a call of a macro that was not taken for one.
pub(super) fn not_a_macro(name: &str, member: bool) -> Option<CallError> {
    Some(match name {
        "has" if member => CallError::NotAMember,
        "has" => CallError::Arity("one: `has(claims.name)`"),
        "all" | "exists" | "exists_one" | "filter" if !member => CallError::NotGlobal,
        "all" | "exists" | "exists_one" | "filter" => {
            CallError::Arity("two: a name for the element and a condition")
        }
        _ => return None,
    })
}

fn sized(
    of: &Type,
    at: Option<usize>,
    arguments: &[Type],
    wanted: usize,
) -> Result<Type, CallError> {
    if arguments.len() != wanted {
        return Err(CallError::Arity("one value, before the dot or in brackets"));
    }
    if matches!(of, Type::Any | Type::List(_) | Type::Map(_) | Type::Text) {
        return Ok(Type::Int);
    }
    Err(CallError::Wrong(at, of.clone()))
}

fn of_text(target: &Type, arguments: &[Type]) -> Result<Type, CallError> {
    let [argument] = arguments else { return Err(CallError::Arity("one")) };
    if !target.may_be(&Type::Text) {
        return Err(CallError::Wrong(None, target.clone()));
    }
    if !argument.may_be(&Type::Text) {
        return Err(CallError::Wrong(Some(0), argument.clone()));
    }
    Ok(Type::Bool)
}

fn of_time(name: &str, target: &Type, arguments: &[Type]) -> Result<Type, CallError> {
    let is_duration = *target == Type::Duration && OF_DURATION.contains(&name);
    if !target.may_be(&Type::Timestamp) && !is_duration {
        return Err(CallError::Wrong(None, target.clone()));
    }
    match arguments {
        [] => Ok(Type::Int),
        [zone] if zone.may_be(&Type::Text) && !is_duration => Ok(Type::Int),
        [zone] if !is_duration => Err(CallError::Wrong(Some(0), zone.clone())),
        _ if is_duration => Err(CallError::Arity("none")),
        _ => Err(CallError::Arity("none, or a time zone")),
    }
}

fn conversion(name: &str, arguments: &[Type]) -> Result<Type, CallError> {
    use Type::{Any, Bool, Double, Duration, Int, Text, Timestamp, Uint};
    let [from] = arguments else { return Err(CallError::Arity("one")) };
    let takes = |types: &[Type]| *from == Any || types.contains(from);
    let (sound, to) = match name {
        "bool" => (takes(&[Bool, Text]), Bool),
        "double" => (takes(&[Double, Int, Text, Uint]), Double),
        "duration" => (takes(&[Duration, Text]), Duration),
        "int" => (takes(&[Double, Int, Text, Timestamp, Uint]), Int),
        "string" => (takes(&[Bool, Double, Duration, Int, Text, Timestamp, Uint]), Text),
        "timestamp" => (takes(&[Int, Text, Timestamp]), Timestamp),
        _ => (takes(&[Double, Int, Text, Uint]), Uint),
    };
    if sound { Ok(to) } else { Err(CallError::Wrong(Some(0), from.clone())) }
}
