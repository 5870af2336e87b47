//! Why an evaluation failed, for the log: types and names, never values.

use cel::ExecutionError;

use super::check::symbol;
use super::equal::SPENT;

/// The longest name that is told, in characters.
const LONGEST_NAME: usize = 64;

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest cannot come of what was checked")]
/// `why` is what the request lacks, where that was it.
pub(super) fn reason(error: &ExecutionError, why: Option<&str>) -> String {
    match error {
        ExecutionError::UndeclaredReference(_) => why.unwrap_or("a value is missing").to_owned(),
        ExecutionError::NoSuchKey(name) => {
            let name: String = name.escape_debug().take(LONGEST_NAME).collect();
            format!("no such claim {name}")
        }
        ExecutionError::NoSuchOverload(error) => {
            let name = symbol(error.function()).unwrap_or_else(|| error.function());
            format!("`{name}` does not go with {}", error.argument_types().join(" and "))
        }
        ExecutionError::FunctionError { function, message } if function == "matches" => {
            format!("`matches` was asked of {message}")
        }
        ExecutionError::FunctionError { function, message } if function == SPENT => message.clone(),
        ExecutionError::FunctionError { function, message }
            if ["!=", "==", "contains", "in"].contains(&&**function) =>
        {
            format!("`{function}` {message}")
        }
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        ExecutionError::UnexpectedType { got, want } => format!("{got} where {want} is needed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is out of range".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "no such element".to_owned(),
        ExecutionError::ValuesNotComparable(..) => "values that cannot be compared".to_owned(),
        ExecutionError::UnsupportedBinaryOperator(name, ..) => {
            format!("`{name}` does not go with its operands")
        }
        _ => "the values do not fit".to_owned(),
    }
}
